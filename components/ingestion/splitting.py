"""Which rows are learnt from (train), which are looked at while the model is made (eval), and which judge it (test)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from components.columnar import Hashes, hash_rows, spread_bits
from spec.errors import InputError
from spec.splits import EVAL, SPLITS, TEST, TRAIN
from spec.workload import Split

_BUCKETS = 10_000
_TRAIN, _EVAL, _TEST = (SPLITS.index(split) for split in (TRAIN, EVAL, TEST))
# As people write them, in any case.
_SPELLINGS = {
    **dict.fromkeys(("train", "training"), _TRAIN),
    **dict.fromkeys(("eval", "evaluation", "val", "valid", "validation", "dev"), _EVAL),
    **dict.fromkeys(("test", "testing", "holdout"), _TEST),
}

Places = npt.NDArray[np.int64]
# Different values of a column, ascending, and how many rows have each.
Values = npt.NDArray[np.number[Any]]
Counted = tuple[Values, npt.NDArray[np.int64]]


class ByHash:
    """Splits by a hash of the row, which is the same in every span. The lowest hashes are test, then eval, then train.

    So a larger test_fraction takes rows from eval first, and a larger eval_fraction from train. Another seed gives another split.
    """

    def __init__(self, split: Split, label: str | None) -> None:
        self._split, self._label = split, label
        self._test = round(split.test_fraction * _BUCKETS)
        self._eval = round((split.test_fraction + split.eval_fraction) * _BUCKETS)

    def places(self, batch: pa.RecordBatch) -> Places:
        """The index in SPLITS of each row's split, [rows]."""
        return self.places_of(self.hashes(batch))

    def hashes(self, batch: pa.RecordBatch) -> Hashes:
        """A hash of each row, independent of the seed; uint64[rows]."""
        # Without the label: of rows with the same features, a hash over the label too would put those with one label into train
        # and those with another into eval, and the model would learn the opposite of what it is evaluated on.
        features = [name for name in batch.schema.names if name not in (self._label, self._split.column)]
        columns = [self._split.key] if self._split.key else features or [self._label]
        return hash_rows(batch.column(name) for name in columns)

    def places_of(self, hashes: Hashes) -> Places:
        """The split of each row, by its hash."""
        seed = self._split.seed
        bucket = (spread_bits(hashes + np.uint64(seed)) if seed else hashes) % np.uint64(_BUCKETS)
        return np.select([bucket < self._test, bucket < self._eval], [_TEST, _EVAL], _TRAIN)


class ByTime:
    """Splits by time: the newest rows are test, those before them eval; rows with the same time stay together."""

    def __init__(self, split: Split, counted: Counted) -> None:
        assert split.time
        self._column = split.time
        self._test_from = newest_from(counted, split.test_fraction)
        is_older = counted[0] < self._test_from
        older = counted[0][is_older], counted[1][is_older]
        self._eval_from = newest_from(older, split.eval_fraction / (1 - split.test_fraction))

    def places(self, batch: pa.RecordBatch) -> Places:
        times = _as_time(batch.column(self._column), self._column)
        return np.select([times >= self._test_from, times >= self._eval_from], [_TEST, _EVAL], _TRAIN)


class ByColumn:
    """Splits by a column. Data with two parts keeps its held-out part as test, and eval is taken out of train by hash.

    The two parts are train and test, or train and eval: whatever its name, the only part that was held out judges the model.
    """

    def __init__(self, split: Split, label: str | None, counted: Counted) -> None:
        assert split.column
        self._column = split.column
        named = set(counted[0].astype(int).tolist())
        self._by_hash = None if {_EVAL, _TEST} <= named else ByHash(split, label)

    def places(self, batch: pa.RecordBatch) -> Places:
        named = _as_place(batch.column(self._column), self._column)
        if self._by_hash is None:
            return named
        is_taken = self._by_hash.places(batch) == _EVAL
        return np.where(named == _TRAIN, np.where(is_taken, _EVAL, _TRAIN), _TEST)


Splitter = ByHash | ByTime | ByColumn


def splitter(split: Split, label: str | None, counted: Counted | None = None) -> Splitter:
    """The splitter for a workload's settings.

    Args:
        counted: all values of the column `counted_column(split)`, where there is one.
    """
    if counted is None:
        return ByHash(split, label)
    return ByTime(split, counted) if split.time else ByColumn(split, label, counted)


def counted_column(split: Split) -> str | None:
    """The column whose values must all be known before the first row can be split."""
    return split.time or split.column


def count_values(split: Split, arrays: Iterable[pa.Array]) -> Counted:
    """How often each value of the counted column occurs, as numbers: times, or indices in SPLITS."""
    as_numbers, column = (_as_time, split.time) if split.time else (_as_place, split.column)
    assert column
    return merge_counts([np.unique(as_numbers(array, column), return_counts=True) for array in arrays])


def merge_counts(parts: Sequence[Counted]) -> Counted:
    """The combined counts of several parts."""
    if not parts:
        return np.empty(0), np.empty(0, np.int64)
    values, places = np.unique(np.concatenate([values for values, _ in parts]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([counts for _, counts in parts]))
    return values, counts


def newest_from(times: Counted, fraction: float) -> int | float:
    """The time from which on about `fraction` of the rows are."""
    values, counts = times
    if not len(values):
        return -math.inf
    # The value at which np.quantile(..., 1 - fraction, method="higher") arrives.
    place = math.ceil(round((counts.sum() - 1) * (1 - fraction), 6))
    return values[np.searchsorted(np.cumsum(counts), place, side="right")].item()  # type: ignore[no-any-return]


def _as_time(array: pa.Array, column: str) -> Values:
    if array.null_count:
        raise InputError(
            f"column {column!r} splits the data by time, and {array.null_count} of its values are missing."
        )
    if pa.types.is_string(array.type):
        try:
            array = pa.array(pd.to_datetime(array.to_pandas(), utc=True, format="ISO8601").astype("int64"))
        except ValueError as error:
            raise InputError(f"column {column!r} splits the data by time and is not ISO 8601: {error}") from None
    # Integers stay integers: a double cannot tell nanoseconds since 1970 apart that differ by less than 200.
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _as_place(array: pa.Array, column: str) -> Places:
    encoded = array.dictionary_encode(null_encoding="encode")
    places = []
    for value in encoded.dictionary.to_pylist():
        place = _SPELLINGS.get(str(value).strip().lower())
        if place is None:
            received = "nothing" if value is None else repr(value)
            raise InputError(
                f"column {column!r} says which split a row is in: train, eval (or validation) or test. Received: {received}."
            )
        places.append(place)
    return np.array(places, np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
