"""Loading and calling the functions that a workload brings (features.py, model.py)."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import pathlib
import sys
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from components.errors import InputError, disk_is_full


def load_function(module_file: str, name: str) -> Callable[..., Any]:
    """The function `name` of a Python file.

    Raises:
        InputError: the file is missing, does not import, or has no such function; says the line.
    """
    path = pathlib.Path(module_file)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. A workload needs it (docs/guides/new-workload.md).")
    with blame(module_file):
        module = _import(path)
    function = getattr(module, name, None)
    if not callable(function):
        known = ", ".join(sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_")))
        raise InputError(f"{path}: has no function {name!r}. Received: {known or 'no functions'}. Define {name}.")
    return function  # type: ignore[no-any-return]


@contextlib.contextmanager
def blame(module_file: str) -> Iterator[None]:
    """Turns an exception out of a workload's own code into an InputError that names the line."""
    try:
        yield
    except (InputError, ConnectionError):  # a lost worker is nobody's code
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        raise InputError(explain(error, module_file)) from error


def explain(error: BaseException, module_file: str) -> str:
    """Where in a workload's file an exception arose, in one line."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(pathlib.Path(module_file))]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    where = f"{module_file}, line {line}" if line else module_file
    inside = f", in {frames[-1].name}" if frames and frames[-1].name != "<module>" else ""
    message = " ".join(str(error).split())
    return f"{where}{inside}: {type(error).__name__}: {message[:400]}. Mend it there; the log has the whole traceback."


def digest(folder: str | pathlib.Path) -> str:
    """SHA-256 over the Python files of a folder: an edit, of a helper too, makes a new one."""
    sha = hashlib.sha256()
    root = pathlib.Path(folder)
    for path in sorted(root.rglob("*.py")):
        sha.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()


def _import(path: pathlib.Path) -> ModuleType:
    # A name of its own for each file: two workloads both have a features.py. The folder is importable meanwhile, so that a
    # workload may keep helpers beside it.
    name = f"trainyard_workload_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    _send_by_value(path.parent)
    return module


def _send_by_value(folder: pathlib.Path) -> None:
    """Beam's workers cannot import a workload's files by name: where Beam is loaded, it is to send their functions as code."""
    cloudpickle = sys.modules.get("apache_beam.internal.cloudpickle.cloudpickle")
    if cloudpickle is None:
        return
    for module in list(sys.modules.values()):
        if folder in pathlib.Path(getattr(module, "__file__", None) or "/").parents:
            cloudpickle.register_pickle_by_value(module)
