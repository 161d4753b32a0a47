"""Answers that are lists, as columns of one value a row: later answers are compared with them as any other column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

MOST_NUMBERS = 32
"""Of a list: each is a comparison of its own, and some of so many differ by chance alone."""
_FIRST, _COUNT = "first", "answered"

Parts = Mapping[str, Sequence[str]]
"""Output -> the names of its parts; none for an output with one value a row, which is compared as it is."""


def parts_of(output: str, answers: np.ndarray, classes: Sequence[str]) -> Sequence[str] | str:
    """What is compared of an output.

    Each number of a short list, which of probabilities is a class; of items the first one, and how many there are.

    Args:
        answers: some, [N, ...].
        classes: of the task, in the order of its probabilities.

    Returns:
        The names of its parts; or, as a text, why nothing of it is compared.
    """
    width = answers[:1].size
    if output.endswith("_bytes"):
        return "pictures and other bytes are compared by nothing yet"
    if width == 1:
        return ()
    if answers.dtype.kind != "f":
        return (_FIRST, _COUNT)
    if width > MOST_NUMBERS:
        return f"{width} numbers a row, and at most {MOST_NUMBERS} are compared"
    return tuple(classes) if width == len(classes) else tuple(map(str, range(width)))


def spread(answers: Mapping[str, Sequence[Any]], parts: Parts) -> dict[str, list[Any]]:
    """The columns `output`, or `output[part]`, of the outputs that have parts; None where a row has another number of values.

    Args:
        answers: a value for each row, by output; a list, nested or not, or one value.

    Example:
        >>> spread({"items": [["b", "a", ""]], "p": [[0.1, 0.9]]}, {"items": ("first", "answered"), "p": ("Drama", "War")})
        {'items[first]': ['b'], 'items[answered]': [2], 'p[Drama]': [0.1], 'p[War]': [0.9]}
    """
    found: dict[str, list[Any]] = {}
    for output, names in parts.items():
        rows = [list(_leaves(value)) for value in answers.get(output, ())]
        if not rows:
            continue
        if not names:
            found[output] = [row[0] if len(row) == 1 else None for row in rows]
        elif tuple(names) == (_FIRST, _COUNT):
            found[f"{output}[{_FIRST}]"] = [row[0] if row else None for row in rows]
            found[f"{output}[{_COUNT}]"] = [sum(one not in ("", b"", None) for one in row) for row in rows]
        else:
            for place, name in enumerate(names):
                found[f"{output}[{name}]"] = [row[place] if len(row) == len(names) else None for row in rows]
    return found


def _leaves(value: Any) -> Iterator[Any]:
    if not isinstance(value, list):
        yield value
        return
    for one in value:
        yield from _leaves(one)
