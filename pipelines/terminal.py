"""What several commands share in a terminal. Imports nothing heavy: every command's parser is built with this loaded."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from components import progress

if TYPE_CHECKING:
    from pipelines.run import Display


_SILENT_S, _LONGEST_SILENCE_S = 5.0, 60.0


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Prints rows of the same length, the first of them the titles, in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def run_display(as_json: bool) -> Display:
    """How a run shows itself: an object at the end, live on a terminal, or a line a component."""
    from pipelines import display

    if as_json:
        return display.Json()
    return display.Screen() if sys.stdout.isatty() else display.Lines()


class Beat:
    """Speaks when nothing has been said for a while: after five seconds, then later and later, once a minute at the least.

    Args:
        speak: is called in a thread of its own.
    """

    def __init__(self, speak: Callable[[], None]) -> None:
        self._speak, self._ended = speak, threading.Event()
        self.rest()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)
        self._thread.start()

    def rest(self) -> None:
        """Something has been said."""
        self._pause = _SILENT_S
        self._due = time.monotonic() + self._pause

    def stop(self) -> None:
        """Speaks no more; what it is saying is said first."""
        self._ended.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._ended.wait(0.25):
            if time.monotonic() >= self._due:
                self._speak()
                self._pause = min(2 * self._pause, _LONGEST_SILENCE_S)
                self._due = time.monotonic() + self._pause


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """While it holds, a person sees on stderr what is being done, since when, and how many rows have been read.

    Nothing else reaches file descriptor 2: TensorFlow's C++ half speaks there when imported, before it can be asked not to.

    Args:
        what: is being done, in a few words.
    """
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    started, live = time.monotonic(), os.isatty(saved)

    def line() -> str:
        seconds = f"{what}, {time.monotonic() - started:.0f} s"
        return "; ".join(part for part in (seconds, progress.read()) if part)

    def say(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(saved, text.encode(errors="replace"))

    beat = _Ticker(lambda: say(f"\r\x1b[K{line()} ")) if live else Beat(lambda: say(f"{line()}\n"))
    try:
        with progress.followed():
            yield
    finally:
        beat.stop()
        if live:
            say("\r\x1b[K")
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


class _Ticker(Beat):
    """For a line that is written over itself: every half second, after the first."""

    def rest(self) -> None:
        self._due = time.monotonic() + 1.0

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            if time.monotonic() >= self._due:
                self._speak()
