"""What several commands share in a terminal. Imports nothing heavy: every command's parser is built with this loaded."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from components import progress

if TYPE_CHECKING:
    from pipelines.run import Display


_SILENT_S, _LONGEST_SILENCE_S = 5.0, 60.0


# What a terminal without these signs gets instead.
_PLAINLY = {
    "✓": "ok",
    "✗": "x",
    "…": "...",
    "→": "->",
    "▸": ">",
    "–": "-",
    "—": "-",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "·": "-",
}
_HANDLER = "trainyard.plainly"


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks: a plain sign where there is one, else its escape, so that nothing fails for want of a letter."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAINLY.get(c) or c.encode("ascii", "backslashreplace").decode() for c in signs), error.end


codecs.register_error(_HANDLER, _plainly)


def prepare() -> None:
    """Makes standard streams that any text can be written to: also where one is closed, or a terminal knows no `✓`."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


class Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments in one line, as every other error of the command line."""

    def error(self, message: str) -> NoReturn:
        self.exit(
            2, f"{self.prog}: error: {' '.join(message.split())} (`{self.prog} --help` has all that may be said)\n"
        )


def is_text(argument: str) -> bool:
    """Whether an argument is UTF-8, as everything that keeps it must be able to write it."""
    try:
        return b"\0" not in argument.encode()
    except UnicodeEncodeError:
        return False


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Prints rows of the same length, the first of them the titles, in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def run_display(as_json: bool) -> Display:
    """How a run shows itself: an object at the end, live on a terminal, or a line a component."""
    from cli import display

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
