"""Which rows are learnt from (train), which are looked at while the model is made (eval), and which judge it (test)."""

from __future__ import annotations

import abc
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


class Splitter(abc.ABC):
    """Tells, for each row of a batch, which split it belongs to."""

    @abc.abstractmethod
    def places(self, batch: pa.RecordBatch) -> Places:
        """Of each row the place of its split in SPLITS, [rows]."""


class ByHash(Splitter):
    """A row's hash decides, today and in every later span. From the least hashes on: test, eval, train.

    A larger test_fraction takes rows from eval first, and a larger eval_fraction from train. Another seed is another division.
    """

    def __init__(self, split: Split, label: str | None) -> None:
        self._split, self._label = split, label
        self._test = round(split.test_fraction * _BUCKETS)
        self._eval = round((split.test_fraction + split.eval_fraction) * _BUCKETS)

    def places(self, batch: pa.RecordBatch) -> Places:
        return self.places_of(self.hashes(batch))

    def hashes(self, batch: pa.RecordBatch) -> Hashes:
        """Of the rows, whatever the seed; uint64[rows]."""
        # Not the label: where rows repeat, a hash of features and label sends those of one label to train and those of another
        # to eval, and what is learnt is the opposite of what is asked.
        features = [name for name in batch.schema.names if name not in (self._label, self._split.column)]
        columns = [self._split.key] if self._split.key else features or [self._label]
        return hash_rows(batch.column(name) for name in columns)

    def places_of(self, hashes: Hashes) -> Places:
        """The split of each row, by its hash."""
        seed = self._split.seed
        bucket = (spread_bits(hashes + np.uint64(seed)) if seed else hashes) % np.uint64(_BUCKETS)
        return np.select([bucket < self._test, bucket < self._eval], [_TEST, _EVAL], _TRAIN)


class ByTime(Splitter):
    """The newest rows are test, those before them eval; rows of one time stay together."""

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


class ByColumn(Splitter):
    """A column says which. What comes with two parts keeps its official test set as test, and eval is taken out of train by hash.

    Two parts are train and test, or train and eval: the only rows that were held back, by whatever name, judge the model.
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


def splitter(split: Split, label: str | None, counted: Counted | None = None) -> Splitter:
    """The way that a workload splits.

    Args:
        split: as the workload says.
        label: the label's column; None: there is none.
        counted: all values of the column `counted_column(split)`, where there is one.
    """
    if counted is None:
        return ByHash(split, label)
    return ByTime(split, counted) if split.time else ByColumn(split, label, counted)


def counted_column(split: Split) -> str | None:
    """The column of which all values have to be known before the first row is split."""
    return split.time or split.column


def count_values(split: Split, arrays: Iterable[pa.Array]) -> Counted:
    """The different values of the column that is counted, as numbers: times, or places in SPLITS."""
    as_numbers, column = (_as_time, split.time) if split.time else (_as_place, split.column)
    assert column
    return merge_counts([np.unique(as_numbers(array, column), return_counts=True) for array in arrays])


def merge_counts(parts: Sequence[Counted]) -> Counted:
    """The counts of several parts together."""
    if not parts:
        return np.empty(0), np.empty(0, np.int64)
    values, places = np.unique(np.concatenate([values for values, _ in parts]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([counts for _, counts in parts]))
    return values, counts


def newest_from(times: Counted, fraction: float) -> int | float:
    """The time from which on rows are among the newest, so that about `fraction` of them are."""
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
    # Whole numbers stay so: as doubles, nanoseconds since 1970 are the same for 200 of them.
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
