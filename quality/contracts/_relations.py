"""Rules between columns that hold in the data and would not hold by chance."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from quality.contracts._facts import Facts

_SAMPLE = 10_000
_MOST_COLUMNS = 60  # pairs grow with the square
# If the two columns were independent, at least so many rows, and such a share of them, would break the rule.
_EXPECTED_BROKEN = 20
_EXPECTED_SHARE = 0.02
_FEWEST_MISSING = 10

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Relations:
    """What holds between columns.

    Attributes:
        ordered: (smaller, greater) where in each row the one is at most the other.
        equal: pairs that are the same in each row.
        together: groups of columns that have a value in the same rows.
        distinct_rows: whether no row stands there twice.
    """

    ordered: tuple[tuple[str, str], ...] = ()
    equal: tuple[tuple[str, str], ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    distinct_rows: bool = False


def relate(rows: pa.Table, facts: Sequence[Facts]) -> Relations:
    """Examines all pairs of numeric columns, where values are missing, and whole rows."""
    numbers = [one for one in facts if one.low is not None and one.distinct > 2][:_MOST_COLUMNS]
    values = {one.name: _numbers(rows.column(one.name)) for one in numbers}
    known = {one.name: ~pc.is_null(rows.column(one.name), nan_is_null=True).to_numpy() for one in numbers}
    ordered, equal = [], []
    for one, other in itertools.combinations([one.name for one in numbers], 2):
        if one.lower() == other.lower():  # GX cannot tell them apart in one rule
            continue
        first, second = values[one], values[other]
        both = known[one] & known[other]
        if both.sum() < 100:
            continue
        first, second = first[both], second[both]
        if np.array_equal(first, second):
            equal.append((one, other))
        elif np.all(first <= second) and _telling(first, second):
            ordered.append((one, other))
        elif np.all(second <= first) and _telling(second, first):
            ordered.append((other, one))
    return Relations(_without_implied(ordered), tuple(equal), _together(rows, facts), _distinct(rows, facts))


def _numbers(column: pa.ChunkedArray) -> Numbers:
    """Values in their own type, missing ones as 0: as doubles, two ids that differ in the last digit would be equal."""
    return pc.fill_null(column, 0).to_numpy()  # type: ignore[no-any-return]


def _telling(smaller: Numbers, greater: Numbers) -> bool:
    """Whether `smaller <= greater` would be broken if each value could meet any other of the other column."""
    step = max(1, len(smaller) // _SAMPLE)
    ranks = np.searchsorted(np.sort(greater), smaller[::step], side="left")
    share = float(np.mean(ranks)) / len(greater)
    return share >= _EXPECTED_SHARE and share * len(smaller) >= _EXPECTED_BROKEN


def _without_implied(ordered: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Drops pairs that follow from others: a <= c follows from a <= b and b <= c."""
    pairs = set(ordered)
    names = {name for pair in pairs for name in pair}
    implied = {(a, c) for a, c in pairs for b in names if (a, b) in pairs and (b, c) in pairs}
    return tuple(pair for pair in ordered if pair not in implied)


def _together(rows: pa.Table, facts: Sequence[Facts]) -> tuple[tuple[str, ...], ...]:
    groups: dict[bytes, list[str]] = {}
    for one in facts:
        if one.required or not _FEWEST_MISSING <= one.missing <= one.rows - _FEWEST_MISSING:
            continue
        missing = pc.is_null(rows.column(one.name), nan_is_null=True).to_numpy()
        groups.setdefault(np.packbits(missing).tobytes(), []).append(one.name)
    apart = [list({name.lower(): name for name in group}.values()) for group in groups.values()]
    return tuple(tuple(group) for group in apart if len(group) > 1)


def _distinct(rows: pa.Table, facts: Sequence[Facts]) -> bool:
    plain = [one.name for one in facts if not pa.types.is_nested(rows.column(one.name).type)]
    if len({name.lower() for name in plain}) < len(plain):
        return False
    if not plain or len(plain) > _MOST_COLUMNS or rows.num_rows < 20 or len(plain) < len(facts):
        return False
    if any(one.is_key for one in facts):
        return False  # the key's own rule says it
    return bool(rows.select(plain).group_by(plain).aggregate([]).num_rows == rows.num_rows)
