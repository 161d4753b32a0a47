"""What several commands share in a terminal. Imports nothing heavy: it is loaded for every command."""

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

# Substitutes for terminals that cannot show these signs.
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
    """Replaces what an encoding lacks by a plain sign, else by its escape, so that no output fails because of one character."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAINLY.get(c) or c.encode("ascii", "backslashreplace").decode() for c in signs), error.end


codecs.register_error(_HANDLER, _plainly)


def prepare() -> None:
    """Makes the standard streams take any text, even where one is closed or the terminal cannot show `✓`."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # otherwise the next file to be opened would get this number
            os.open(os.devnull, os.O_RDWR)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


class _HelpFormatter(argparse.HelpFormatter):
    """Keeps a text's line breaks and wraps long lines, except indented ones, which are commands to copy."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (line if line.startswith(" ") else textwrap.fill(line, width) for line in text.splitlines())
        return textwrap.indent("\n".join(lines), indent)


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, like every other error of the command line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _HelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        self.exit(
            2, f"{self.prog}: error: {' '.join(message.split())} (`{self.prog} --help` has all that may be said)\n"
        )


def is_text(argument: str) -> bool:
    """Whether an argument is valid UTF-8: it ends up in files, logs and databases."""
    try:
        return b"\0" not in argument.encode()
    except UnicodeEncodeError:
        return False


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Prints rows of equal length in aligned columns; the first row holds the titles."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """Shows on stderr, while the body runs, what is being done, for how long, and how many rows have been read.

    Nothing else reaches file descriptor 2: TensorFlow's C++ code logs there on import, before it can be silenced.
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
    """Redraws a line in place every half second, once the first second has passed."""

    def rest(self) -> None:
        self._due = time.monotonic() + 1.0

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            if time.monotonic() >= self._due:
                self._speak()
