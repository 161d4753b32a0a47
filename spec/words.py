"""Texts for a line of output."""

from __future__ import annotations

from collections.abc import Sequence


def one_line(text: object, most: int | None = None) -> str:
    """A text, or what an error says, on one line of at most so many characters.

    Example:
        >>> one_line(ValueError("not a\\n  number"))
        'not a number'
    """
    return " ".join(str(text).split())[:most]


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first names of a list, and how many more there are.

    Example:
        >>> some_of(["fare", "tip", "miles", "area", "hour"])
        'fare, tip, miles and 2 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
