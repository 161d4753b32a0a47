"""Keeps a workload's code to the files that the caches' keys know of: an audit hook refuses the others.

It sees what Python opens, imports too. What a library opens in C++ (`tf.io.gfile`, a lookup table's file) it does not see.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from components.code_files import files_of
from spec.errors import InputError

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_PRODUCT = pathlib.Path(__file__).resolve().parents[1]


class _Known:
    """What one workload's code may read: its folder's files, its assets, and what it has written itself."""

    def __init__(self, folder: pathlib.Path, assets: Iterable[pathlib.Path]) -> None:
        self.folder = folder
        self.assets = {os.path.realpath(path) for path in assets}
        self.files = {os.path.realpath(path) for path in files_of(folder).values()}
        self.opened: set[str] = set()
        self.written: set[str] = set()

    def look(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str):
            return  # a descriptor of something that is open
        real = os.path.realpath(path)
        if real.endswith(".pyc") and f"{os.path.realpath(self.folder)}/" in real:
            # Python takes a compiled file for its source's by second and size: an edit within one would run what was there before.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if (isinstance(flags, int) and flags & _WRITES) or (isinstance(mode, str) and set(mode) & set("wax+")):
            self.written.add(real)
            self.opened.discard(real)
        elif real in self.files:
            self.opened.add(real)
        elif real in self.assets or real in self.written or _of_the_environment(real, self.folder):
            return
        elif pathlib.Path(real).is_file():
            raise InputError(self._refusal(path, real))

    def _refusal(self, path: str, real: str) -> str:
        file, line = self._line()
        where = f"{file}, line {line}" if file else str(self.folder)
        if pathlib.Path(os.path.realpath(self.folder)) in pathlib.Path(real).parents:
            return (
                f"{where}: opens {path}, which is left out of what tells one state of the code from another (so are hidden files "
                "and editors' copies). Put what the code needs into a file of its own."
            )
        return (
            f"{where}: opens {path}, which lies outside of the workload's folder: a change of it would go unnoticed. Copy it "
            f"into {self.folder}, link it there and open the link, or declare it (`assets` of workload.yaml)."
        )

    def _line(self) -> tuple[str, int]:
        """Where in the workload's code that happens."""
        frame = sys._getframe(3)
        while frame is not None:
            if self.folder in pathlib.Path(frame.f_code.co_filename).parents:
                return frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back  # type: ignore[assignment]
        return "", 0


_NOW: ContextVar[_Known | None] = ContextVar("trainyard_code_guard", default=None)


@contextlib.contextmanager
def known_files_only(module_file: str | os.PathLike[str], assets: Iterable[pathlib.Path] = ()) -> Iterator[set[str]]:
    """While it lasts, this thread may read the files of the module's folder, assets, and the Python environment, no others.

    Yields:
        Real paths of the folder's files that were opened, as they come.

    Raises:
        InputError: inside, where another file is opened; names the line that does.
    """
    _install()
    known = _Known(pathlib.Path(module_file).parent, assets)
    before = _NOW.set(known)
    try:
        yield known.opened
    finally:
        _NOW.reset(before)


@functools.cache
def _install() -> None:
    sys.addaudithook(_audit)  # for good: Python takes none back


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and (known := _NOW.get()) is not None:
        known.look(*arguments)


@functools.cache
def _environment() -> tuple[str, ...]:
    packages = [str(file.parent) for file in _PRODUCT.glob("*/__init__.py")]
    prefixes = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(_PRODUCT / ".venv"), *packages]
    settings = [str(pathlib.Path.home() / ".keras" / "keras.json"), str(pathlib.Path.home() / ".config")]
    system = ["/dev", "/etc", "/lib", "/lib64", "/proc", "/sys", "/usr"]
    return tuple(dict.fromkeys(os.path.realpath(one) for one in [*prefixes, *settings, *system]))


def _of_the_environment(real: str, folder: pathlib.Path) -> bool:
    workloads = os.path.realpath(folder.parent)
    if real.startswith(f"{workloads}/"):
        return False  # another workload's, though it lies in the checkout
    return any(real == one or real.startswith(f"{one}/") for one in _environment())
