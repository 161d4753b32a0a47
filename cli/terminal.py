"""What several commands share in a terminal. Imports nothing heavy: every command's parser is built with this loaded."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from components import progress

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


class _HelpFormatter(argparse.HelpFormatter):
    """Keeps the lines of a text, and wraps those that are too long; an indented one is a command to copy."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (line if line.startswith(" ") else textwrap.fill(line, width) for line in text.splitlines())
        return textwrap.indent("\n".join(lines), indent)


class Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments in one line, as every other error of the command line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _HelpFormatter, **options})

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

    beat = _Ticker(lambda: say(f"\r\x1b[K{line()} ")) if live else progress.Beat(lambda: say(f"{line()}\n"))
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


class _Ticker(progress.Beat):
    """For a line that is written over itself: every half second, after the first."""

    def rest(self) -> None:
        self._due = time.monotonic() + 1.0

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            if time.monotonic() >= self._due:
                self._speak()
