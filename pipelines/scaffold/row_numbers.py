"""Row numbers and identifiers: they say which row it is, and nothing about it."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_IDENTIFIER = re.compile(r"(.*[\W_])?(id|uid|uuid|guid|row|rows?\W*n\w*|unnamed.*)\W*\d*", re.DOTALL)
_CAMEL_CASE = re.compile(r".*[a-z]I[dD]", re.DOTALL)
_NUMBER = re.compile(r"(.*[\W_])?(idx|index|nr|no|key|number)\W*\d*", re.DOTALL)
# Also counted in whole units, and rows may well be sorted by it: a rank, a year, the days since the start.
_AMOUNT = re.compile(
    r"(.*[\W_])?(rank|ranking|place|position|score|age|price|amount|cost|sales|quantity|size|distance|t|ts|time|"
    r"timestamp|epoch|step|date|year|quarter|month|week|day|hour|minute|second|millisecond)s?([\W_].*)?"
)
_MOST_GAPS = 2  # numbers for each row: of a numbered file at least half of the rows are still there
_FIRST = 10  # some of the first rows may be gone, too
_LONG = 300  # rows: no measured amount goes up by one through all of them, not even years


def is_row_number(name: str, values: pa.ChunkedArray) -> bool:
    """Whether a column of numbers numbers the rows, whatever it is called.

    It does if each row has a whole number of its own that starts at about 0 or 1, and these are 1 to n in any order, or go up
    or down from row to row with few gaps; in a long file also if they go up or down by one, wherever they start. A column that
    is named like an amount or a time is taken for one; one that is named like a number may start anywhere and lie in any order,
    and the numbers of identifiers may be any.
    """
    rows = len(values)
    whole = values.null_count == 0 and rows > 1 and _whole(values)
    if not whole or pc.count_distinct(values).as_py() != rows:
        return False
    numbers = values.cast(pa.int64()).to_numpy()
    low, high = int(numbers.min()), int(numbers.max())
    named = name.strip().lower()
    if is_called_identifier(name):
        return True
    if high - low >= _MOST_GAPS * rows:
        return False
    if _NUMBER.fullmatch(named):
        return True
    if _AMOUNT.fullmatch(named):
        return False
    if low in (0, 1) and high - low + 1 == rows:
        return True
    steps = np.diff(numbers)
    if rows >= _LONG and abs(steps[0]) == 1 and np.all(steps == steps[0]):
        return True
    return -1 <= low <= _FIRST and bool(np.all(np.sign(steps) == np.sign(steps[0])))


def is_called_identifier(name: str) -> bool:
    """Whether a column is named like the identifiers of something: `id`, `order_id`, `customerId`, `rownames`."""
    return bool(_IDENTIFIER.fullmatch(name.strip().lower()) or _CAMEL_CASE.fullmatch(name.strip()))


def _whole(values: pa.ChunkedArray) -> bool:
    if pa.types.is_integer(values.type):
        return bool(pa.types.is_signed_integer(values.type) or pc.max(values).as_py() < 2**63)
    if not pa.types.is_floating(values.type):
        return False
    numbers = values.cast(pa.float64())
    return bool(pc.all(pc.equal(numbers, pc.floor(numbers))).as_py() and pc.max(pc.abs(numbers)).as_py() < 2**53)
