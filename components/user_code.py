"""Loading and calling the functions that a workload brings (features.py, model.py)."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

from components import assets, code_files
from components.code_guard import known_files_only
from spec.errors import ChangedError, InputError, TryAgainError, disk_is_full
from spec.words import one_line
from spec.workload import Asset

__all__ = ["blame", "calling", "digest", "explain", "find_function", "load_function"]


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """A module, and the files that its folder had: real path -> SHA-256."""

    module: ModuleType
    files: Mapping[str, str]


_LOADED: dict[tuple[str, str], _Loaded] = {}
"""By module file and digest of its folder: what was loaded once is not read again, whoever edits it meanwhile."""


_HELPERS: set[str] = set()
"""Modules beside the last one that was loaded: two workloads may both have a helper.py, and an edited one is another."""


def digest(folder: str | os.PathLike[str], declared: Mapping[str, Asset] = MappingProxyType({})) -> str:
    """What tells one state of a workload's code from another: its folder's files, and the assets that it declares."""
    return assets.added_to(code_files.digest(folder), declared)


def load_function(module_file: str, name: str, expected: str = "") -> Callable[..., Any]:
    """The function `name` of a Python file.

    Args:
        expected: the `digest` that the cache's key holds; empty: whatever it is, without assets.

    Raises:
        InputError: the file is missing, does not import, has no such function, or reads what it may not; says the line.
        ChangedError: the folder is not, or does not stay, what is expected.
    """
    path = pathlib.Path(module_file)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. A workload needs it (docs/guides/new-workload.md).")
    module = _load(path, expected).module
    function = getattr(module, name, None)
    if not callable(function):
        known = ", ".join(sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_")))
        raise InputError(f"{path}: has no function {name!r}. Received: {known or 'no functions'}. Define {name}.")
    return function  # type: ignore[no-any-return]


def find_function(module_file: str, name: str, expected: str = "") -> Callable[..., Any] | None:
    """As `load_function`, of a function that a workload may leave out."""
    path = pathlib.Path(module_file)
    found = getattr(_load(path, expected).module, name, None) if path.is_file() else None
    return found if callable(found) else None


@contextlib.contextmanager
def blame(module_file: str) -> Iterator[None]:
    """Turns an exception out of a workload's own code into an InputError that names the line."""
    try:
        yield
    except (InputError, TryAgainError, ConnectionError):  # a lost worker is nobody's code
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        raise InputError(explain(error, module_file)) from error


@contextlib.contextmanager
def calling(module_file: str, expected: str = "") -> Iterator[None]:
    """`blame`, around a call of a workload's own function: it may read its files and assets, as the cache's key knows them.

    Args:
        module_file: where the function stands.
        expected: the digest that it was loaded by; empty: the files may be whatever they are.

    Raises:
        InputError: it opens a file that no key knows of.
        ChangedError: a file that it opened is no longer the one that was there when it was loaded.
    """
    declared = assets.named_in(expected)
    places = [assets.fetched(one) for one in declared.values()]
    with blame(module_file), assets.given(declared), known_files_only(module_file, places) as opened:
        yield
    loaded = _LOADED.get((str(pathlib.Path(module_file)), expected))
    for path in sorted(opened) if loaded else ():
        if code_files.sha256(path) != loaded.files.get(path):  # type: ignore[union-attr]
            raise ChangedError(path, "it was edited since the run began")


def explain(error: BaseException, module_file: str) -> str:
    """Where in a workload's file an exception arose, in one line."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(pathlib.Path(module_file))]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    where = f"{module_file}, line {line}" if line else module_file
    inside = f", in {frames[-1].name}" if frames and frames[-1].name != "<module>" else ""
    message = one_line(error)
    return f"{where}{inside}: {type(error).__name__}: {message[:400]}. Mend it there; the log has the whole traceback."


def _load(path: pathlib.Path, expected: str) -> _Loaded:
    if expected and (known := _LOADED.get((str(path), expected))):
        return known
    _insist(path.parent, expected)
    with calling(str(path), expected):
        module = _import(path)
    loaded = _Loaded(module, _insist(path.parent, expected))
    if expected:
        _LOADED[str(path), expected] = loaded
    return loaded


def _insist(folder: pathlib.Path, expected: str) -> dict[str, str]:
    """The folder's files by real path, if they are what is expected."""
    found = code_files.hashes(folder)
    if expected and (now := code_files.digest_of(found)) != expected.partition(" ")[0]:
        raise ChangedError(str(folder), f"the run began with {expected[:12]}, and now it is {now[:12]}")
    return {os.path.realpath(folder / name): content for name, content in found.items()}


def _import(path: pathlib.Path) -> ModuleType:
    # A name of its own for each file: two workloads both have a features.py. The folder is importable meanwhile, so that a
    # workload may keep helpers beside it.
    name = f"trainyard_workload_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    for helper in _HELPERS:
        sys.modules.pop(helper, None)
    _HELPERS.clear()
    before = set(sys.modules)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
        sys.dont_write_bytecode = writes
        _HELPERS.update(
            one for one in set(sys.modules) - before if one != name and _is_of(path.parent, sys.modules[one])
        )
    _send_by_value(path.parent)
    return module


def _send_by_value(folder: pathlib.Path) -> None:
    """Beam's workers cannot import a workload's files by name: where Beam is loaded, it is to send their functions as code."""
    cloudpickle = sys.modules.get("apache_beam.internal.cloudpickle.cloudpickle")
    if cloudpickle is None:
        return
    for module in list(sys.modules.values()):
        if _is_of(folder, module):
            cloudpickle.register_pickle_by_value(module)


def _is_of(folder: pathlib.Path, module: ModuleType) -> bool:
    return folder in pathlib.Path(getattr(module, "__file__", None) or "/").parents
