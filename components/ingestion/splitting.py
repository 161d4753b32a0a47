"""Which rows are trained on and which are evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import hash_rows
from components.errors import InputError
from components.ingestion._config import IngestionConfig

_BUCKETS = 10_000


class Splitter:
    """Tells, for each row of a batch, whether it belongs to eval."""

    def __init__(self, config: IngestionConfig, newest_from: float | None = None) -> None:
        self._config = config
        self._newest_from = newest_from

    def is_eval(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """A mask over the rows of a batch."""
        config = self._config
        if config.split_column:
            return _named(batch.column(config.split_column), config.split_column)
        if config.split_time:
            assert self._newest_from is not None
            return _as_time(batch.column(config.split_time), config.split_time) >= self._newest_from
        # Not the label: where rows repeat, a hash of features and label sends those of one label to train and those of another
        # to eval, and what is learnt is the opposite of what is asked.
        features = [name for name in batch.schema.names if name != config.label]
        columns = [config.split_key] if config.split_key else features or batch.schema.names
        bucket = hash_rows(batch.column(name) for name in columns) % np.uint64(_BUCKETS)
        return bucket < round(config.eval_fraction * _BUCKETS)


Times = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def count_times(times: Iterable[pa.Array], column: str) -> Times:
    """The different times, ascending, and how many rows have each; what `newest_from` takes."""
    return merge_times([np.unique(_as_time(array, column), return_counts=True) for array in times])


def merge_times(parts: Sequence[Times]) -> Times:
    """The counts of several parts together."""
    if not parts:
        return np.empty(0), np.empty(0, np.int64)
    values, places = np.unique(np.concatenate([values for values, _ in parts]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, places, np.concatenate([counts for _, counts in parts]))
    return values, counts


def newest_from(times: Times, eval_fraction: float) -> float:
    """The time from which on rows are evaluated, so that about `eval_fraction` of them are."""
    values, counts = times
    if not len(values):
        return 0.0
    # The value at which np.quantile(..., 1 - eval_fraction, method="higher") arrives.
    place = math.ceil(round((counts.sum() - 1) * (1 - eval_fraction), 6))
    return float(values[np.searchsorted(np.cumsum(counts), place, side="right")])


def _as_time(array: pa.Array, column: str) -> npt.NDArray[np.float64]:
    if array.null_count:
        raise InputError(
            f"column {column!r} splits the data by time, and {array.null_count} of its values are missing."
        )
    if pa.types.is_string(array.type):
        try:
            array = pa.array(pd.to_datetime(array.to_pandas(), utc=True, format="ISO8601").astype("int64"))
        except ValueError as error:
            raise InputError(f"column {column!r} splits the data by time and is not ISO 8601: {error}") from None
    return array.to_numpy(zero_copy_only=False).astype(np.float64)


def _named(array: pa.Array, column: str) -> npt.NDArray[np.bool_]:
    unknown = pc.unique(array).to_pylist()
    unknown = [v for v in unknown if v not in ("train", "eval")]
    if unknown:
        raise InputError(f"column {column!r} says which split a row is in: train or eval. Received: {unknown[0]!r}.")
    return pc.equal(array, "eval").to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
