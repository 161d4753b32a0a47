"""JSON's lists in lists: their values one after another, and their shape."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from serving.errors import BadRequestError

MOST_NESTED = 32  # lists in lists; NumPy and TensorFlow take few more


class Flat(NamedTuple):
    """What lists in lists hold.

    Attributes:
        kinds: the types of the values.
    """

    values: list[Any]
    shape: tuple[int, ...]
    kinds: set[type]


def flattened(values: Any) -> Flat | None:
    """The values of lists in lists, in their order; None: the lists are of unequal length or depth.

    NumPy would find out as well. But what it makes of a long text among numbers is as many texts of that length, and of a number among
    lists as many lists: gigabytes of a small request.

    Raises:
        BadRequestError: there are more than MOST_NESTED lists in one another.
    """
    shape: list[int] = []
    level = [values]
    while list in (kinds := set(map(type, level))):
        if len(shape) == MOST_NESTED:
            raise BadRequestError(f"lists are nested more than {MOST_NESTED} deep.")
        if len(kinds) > 1 or len(lengths := set(map(len, level))) > 1:
            return None
        shape.append(lengths.pop())
        level = list(itertools.chain.from_iterable(level))
    return Flat(level, tuple(shape), kinds)


def kinds_in(values: Any) -> set[type]:
    """The types of what is in lists in lists of any length and depth; to look at each value by its place takes much longer."""
    kinds, level = set[type](), [values]
    while level:
        kinds |= set(map(type, level))
        level = list(itertools.chain.from_iterable(one for one in level if type(one) is list))
    return kinds - {list}
