"""What several commands share in a terminal. Imports nothing heavy: every command's parser is built with this loaded."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.run import Display


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


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Nothing reaches file descriptor 2: TensorFlow's C++ half speaks there when imported, before it can be asked not to."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
