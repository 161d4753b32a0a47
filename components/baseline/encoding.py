"""Raw columns as the numbers that trees take: amounts as they are, texts as codes, what is missing as NaN."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MOST_CATEGORIES = 254  # scikit-learn's trees bin into 255, and one is for what is missing
_FEWEST_ROWS = 2  # a text of one row names it
_DATE = r"^\d{4}-\d{2}-\d{2}"

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Encoder:
    """How the columns of the train split become a matrix.

    Attributes:
        columns: those that are used, in order.
        categorical: which of them hold codes, [d].
        left_out: why the others are not used.
    """

    columns: tuple[str, ...]
    categorical: tuple[bool, ...]
    left_out: dict[str, str]
    _encode: tuple[Callable[[pa.ChunkedArray], Floats], ...]

    def matrix(self, table: pa.Table) -> Floats:
        """float64 [N, d]."""
        if not self.columns:
            return np.empty((table.num_rows, 0))
        return np.stack([e(table.column(n)) for n, e in zip(self.columns, self._encode, strict=True)], axis=1)


def unfit(kind: pa.DataType) -> str:
    """Why trees cannot learn from a column of this type; empty: they can."""
    if pa.types.is_nested(kind):
        return "it holds several values a row"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "it holds bytes"
    return ""


def fit_encoder(table: pa.Table, names: Sequence[str]) -> Encoder:
    """Decides by the rows of the train split how each column is read."""
    kept, categorical, encoders = [], [], []
    left_out: dict[str, str] = {}
    for name in names:
        found = _encoder(table.column(name))
        if isinstance(found, str):
            left_out[name] = found
            continue
        kept.append(name)
        categorical.append(isinstance(found, _Codes))
        encoders.append(found)
    return Encoder(tuple(kept), tuple(categorical), left_out, tuple(encoders))


def _encoder(column: pa.ChunkedArray) -> Callable[[pa.ChunkedArray], Floats] | str:
    kind = column.type
    if column.null_count == len(column):
        return "no value in the train split"
    if (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    ):
        return _numbers
    if pa.types.is_temporal(kind):
        return _times
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return f"it holds {kind}"
    if pc.all(pc.match_substring_regex(column.drop_null(), _DATE)).as_py():
        return _dates
    counts = pc.value_counts(column.drop_null())
    rows = counts.field("counts").to_numpy(zero_copy_only=False)
    frequent = np.argsort(-rows, kind="stable")[:MOST_CATEGORIES]
    frequent = frequent[rows[frequent] >= _FEWEST_ROWS]
    if rows[frequent].sum() < len(column) / 2:
        return "most rows have a text of their own"
    return _Codes(counts.field("values").take(pa.array(frequent)))


def _numbers(column: pa.ChunkedArray) -> Floats:
    values = np.array(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    values[np.isinf(values)] = np.nan
    return values


def _times(column: pa.ChunkedArray) -> Floats:
    kind = pa.int64() if pa.types.is_timestamp(column.type) or pa.types.is_time64(column.type) else pa.int32()
    return _numbers(column.cast(kind))


def _dates(column: pa.ChunkedArray) -> Floats:
    """Seconds since 1970; NaN for what does not begin with a date as ISO 8601 writes it."""
    import pandas as pd

    texts = pd.Series(column.to_pandas())
    times = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    seconds = (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return np.asarray(seconds.to_numpy(np.float64, na_value=np.nan))


@dataclasses.dataclass(frozen=True)
class _Codes:
    """The place of a text among the frequent ones; NaN for all others."""

    frequent: pa.Array

    def __call__(self, column: pa.ChunkedArray) -> Floats:
        codes = pc.index_in(column, value_set=self.frequent.cast(column.type))
        return np.array(codes.cast(pa.float64()).to_numpy(), np.float64)
