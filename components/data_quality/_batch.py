"""The examples as one pandas frame, with types that keep what Parquet says."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.columnar import count_rows, read_split, split_files

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class Batch:
    """All rows, split after split.

    Attributes:
        frame: the rows; its index counts from 0 over all splits.
        splits: their names, in order.
        starts: the index at which each split starts.
    """

    frame: pd.DataFrame
    splits: tuple[str, ...]
    starts: tuple[int, ...]

    def locate(self, index: int) -> tuple[str, int]:
        """The split of a row and its position there, from 0."""
        nth = bisect.bisect_right(self.starts, index) - 1
        return self.splits[nth], index - self.starts[nth]


def read(
    examples_uri: str, splits: Sequence[str], paired: Collection[str] = (), wanted: Collection[str] | None = None
) -> Batch:
    """Reads splits of an Examples artifact as one frame, column by column: of Arrow's copy there is never more than one.

    Integers and booleans with nulls become pandas' nullable types (never floats); NaN and null are both missing.

    Args:
        examples_uri: of the artifact.
        splits: which, in order.
        paired: columns that are compared with each other. GX compares them with plain operators, which pandas' NA does
            not survive; these become floats where they hold nulls.
        wanted: columns to read, those that are there; default all.
    """
    import pandas as pd

    rows = [count_rows(examples_uri, split) for split in splits]
    starts = tuple(int(start) for start in np.cumsum([0, *rows])[:-1])
    columns = {}
    for name in _column_names(examples_uri, splits[0]):
        if wanted is None or name in wanted:
            chunks = [read_split(examples_uri, split, [name]).column(0) for split in splits]
            column = pa.chunked_array([chunk for one in chunks for chunk in one.chunks], chunks[0].type)
            columns[name] = _series(_readable(column), floats=name in paired)
    return Batch(pd.DataFrame(columns, index=pd.RangeIndex(sum(rows))), tuple(splits), starts)


def _column_names(examples_uri: str, split: str) -> list[str]:
    return [str(name) for name in pq.read_schema(split_files(examples_uri, split)[0]).names]


def _series(column: pa.ChunkedArray, floats: bool) -> pd.Series:
    import pandas as pd

    kind = column.type
    if column.null_count and not floats:
        if pa.types.is_integer(kind):
            return column.to_pandas(types_mapper={kind: _nullable_integer(kind)}.get)
        if pa.types.is_boolean(kind):
            return column.to_pandas(types_mapper={kind: pd.BooleanDtype()}.get)
    return column.to_pandas()


def _nullable_integer(kind: pa.DataType) -> Any:
    import pandas as pd

    name = str(kind)  # int64, uint8, ...
    return pd.api.types.pandas_dtype("UInt" + name[4:] if name.startswith("u") else "Int" + name[3:])


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as text: a suite is JSON and can only speak of text. Bytes that are not UTF-8 show as escapes."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return column
    try:
        return pc.cast(column, pa.large_string())
    except pa.ArrowInvalid:
        decoded = [None if v is None else v.decode("utf-8", "backslashreplace") for v in column.to_pylist()]
        return pa.chunked_array([pa.array(decoded, pa.large_string())])
