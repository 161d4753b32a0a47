"""How far a long piece of work has come, for whoever shows it: rows that were read, or words such as "epoch 3 of 20".

Work is done by this process, by threads and by children of it: each writes what it knows into a folder whose name the
environment passes on, and who shows it reads the folder. Where nobody has asked, telling costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from spec import environment as env

_EVERY_S = 0.25
_SAID = "said"
_SILENT_S, _LONGEST_SILENCE_S = 5.0, 60.0
# Of this process: its id (a fork starts anew), rows, and when they were last written.
_process, _rows, _written = 0, 0, 0.0


@contextlib.contextmanager
def followed() -> Iterator[None]:
    """While it holds, `read` finds what this process and its children tell."""
    before, folder = os.environ.get(env.PROGRESS), tempfile.mkdtemp(prefix="trainyard-progress-")
    os.environ[env.PROGRESS] = folder
    clear()
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(env.PROGRESS, None)
        else:
            os.environ[env.PROGRESS] = before
        shutil.rmtree(folder, ignore_errors=True)


def rows(count: int) -> None:
    """So many rows more have been read."""
    global _process, _rows, _written
    if (folder := os.environ.get(env.PROGRESS)) is None:
        return
    if _process != os.getpid():
        _process, _rows, _written = os.getpid(), 0, 0.0
    _rows += count
    if (now := time.monotonic()) - _written >= _EVERY_S:
        _written = now
        _write(folder, f"rows-{_process}", str(_rows))


def tell(words: str) -> None:
    """What is being done, in a few words; rows are counted anew."""
    if (folder := os.environ.get(env.PROGRESS)) is not None:
        clear()
        _write(folder, _SAID, words)


def clear() -> None:
    """Another piece of work begins."""
    global _rows, _written
    _rows, _written = 0, 0.0
    if (folder := os.environ.get(env.PROGRESS)) is not None:
        for file in _files(folder):
            file.unlink(missing_ok=True)


def read() -> str:
    """What was told last, on one line; empty if nothing was."""
    if (folder := os.environ.get(env.PROGRESS)) is None:
        return ""
    words, total = "", 0
    for file in _files(folder):
        try:
            text = file.read_text(encoding="utf-8")
        except OSError:
            continue  # another piece of work has begun
        if file.name == _SAID:
            words = text
        elif text.isdecimal():
            total += int(text)
    return "; ".join(part for part in (words, f"{total:,} rows read" if total else "") if part)


def _files(folder: str) -> list[pathlib.Path]:
    with contextlib.suppress(OSError):
        return [file for file in pathlib.Path(folder).iterdir() if not file.name.startswith(".")]
    return []


def _write(folder: str, name: str, text: str) -> None:
    """Renamed into place, so that a reader sees all of it; a disk that is full is no reason to end the work."""
    with contextlib.suppress(OSError):
        partial = pathlib.Path(folder) / f".{name}-{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(pathlib.Path(folder) / name)


class Beat:
    """Calls back when nothing has been said for a while: after five seconds, then less and less often, at least once a minute.

    Args:
        speak: what to call, in a separate thread.
    """

    def __init__(self, speak: Callable[[], None]) -> None:
        self._speak, self._ended = speak, threading.Event()
        self.rest()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)
        self._thread.start()

    def rest(self) -> None:
        """Starts the waiting time again: something has been said."""
        self._pause = _SILENT_S
        self._due = time.monotonic() + self._pause

    def stop(self) -> None:
        """Stops; a call that has begun is finished first."""
        self._ended.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._ended.wait(0.25):
            if time.monotonic() >= self._due:
                self._speak()
                self._pause = min(2 * self._pause, _LONGEST_SILENCE_S)
                self._due = time.monotonic() + self._pause
