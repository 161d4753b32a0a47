"""The examples as pandas frames, a few columns at a time, with types that preserve Parquet's."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import ColumnReader, count_rows

_EXACT_IN_A_FLOAT = 2**53

if TYPE_CHECKING:
    import pandas as pd


class Batch:
    """The rows of an Examples artifact, split after split, read lazily.

    Args:
        parts: by split, the first row and the number of rows; default: all.
        paired: columns that are compared with each other. GX compares them with plain operators, which fail on
            pandas' NA, so those with nulls become floats, or Python's integers where a float would lose digits.
    """

    def __init__(
        self,
        examples_uri: str,
        splits: Sequence[str],
        parts: Mapping[str, tuple[int, int]] | None = None,
        paired: Collection[str] = (),
    ) -> None:
        self.splits = tuple(splits)
        self._paired = paired
        self._readers = {split: ColumnReader(examples_uri, split) for split in splits}
        self._parts = parts or {split: (0, count_rows(examples_uri, split)) for split in splits}
        counts = [self._parts[split][1] for split in splits]
        self.rows = sum(counts)
        self._starts = [int(start) for start in np.cumsum([0, *counts])[:-1]]
        self.columns = tuple(self._readers[splits[0]].columns)

    def frame(self, columns: Iterable[str]) -> pd.DataFrame:
        """Some columns of all rows; the index counts from 0 over all splits. Columns that are not there are left out.

        Integers and booleans with nulls become pandas' nullable types (never floats); NaN and null are both missing.
        """
        import pandas as pd

        wanted = set(columns)
        series = {
            name: _series(self.column(name), floats=name in self._paired) for name in self.columns if name in wanted
        }
        return pd.DataFrame(series, index=pd.RangeIndex(self.rows))

    def header(self) -> pd.DataFrame:
        """All columns, and no row."""
        import pandas as pd

        return pd.DataFrame({name: pd.Series(dtype=object) for name in self.columns})

    def locate(self, index: int) -> tuple[str, int]:
        """The split of a row and its position there, from 0."""
        nth = bisect.bisect_right(self._starts, index) - 1
        return self.splits[nth], self._parts[self.splits[nth]][0] + index - self._starts[nth]

    def values(self, column: str, rows: Sequence[int]) -> list[Any]:
        """A column's values in some rows."""
        return self.column(column).take(pa.array(rows, pa.int64())).to_pylist()  # type: ignore[no-any-return]

    def column(self, name: str) -> pa.ChunkedArray:
        """All values of a column; bytes are text."""
        columns = [self._readers[split].read(name).slice(*self._parts[split]) for split in self.splits]
        return _readable(pa.chunked_array([chunk for one in columns for chunk in one.chunks], columns[0].type))


def _series(column: pa.ChunkedArray, floats: bool) -> pd.Series:
    import pandas as pd

    kind = column.type
    if column.null_count and not floats:
        if pa.types.is_integer(kind):
            return column.to_pandas(types_mapper={kind: _nullable_integer(kind)}.get)
        if pa.types.is_boolean(kind):
            return column.to_pandas(types_mapper={kind: pd.BooleanDtype()}.get)
    if column.null_count and pa.types.is_integer(kind) and _beyond_floats(column):
        exact = column.to_pandas(integer_object_nulls=True)
        return exact.where(exact.notna(), float("nan"))
    return column.to_pandas()


def _beyond_floats(column: pa.ChunkedArray) -> bool:
    low, high = pc.min_max(column).as_py().values()
    return low is not None and bool(max(-low, high) > _EXACT_IN_A_FLOAT)


def _nullable_integer(kind: pa.DataType) -> Any:
    import pandas as pd

    name = str(kind)  # int64, uint8, ...
    return pd.api.types.pandas_dtype("UInt" + name[4:] if name.startswith("u") else "Int" + name[3:])


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as text, because a suite is JSON and can only name texts. Bytes that are not UTF-8 are escaped, and zero bytes.

    pandas compares texts up to a zero byte: to it, all PNGs would be one.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return column
    try:
        texts = pc.cast(column, pa.large_string())
    except pa.ArrowInvalid:
        decoded = [None if v is None else v.decode("utf-8", "backslashreplace") for v in column.to_pylist()]
        texts = pa.chunked_array([pa.array(decoded, pa.large_string())])
    return pc.replace_substring(texts, "\0", "\\x00") if pc.any(pc.match_substring(texts, "\0")).as_py() else texts
