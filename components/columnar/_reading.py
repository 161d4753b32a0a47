from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components import progress
from components.columnar._arrow import tfx_columns
from components.columnar._files import split_files
from components.columnar._layout import plain_batch, plain_schema

_BATCH_BYTES = 32 * 2**20
_MIN_ROWS, _MAX_ROWS = 1, 65_536
_OPEN_FILES = 16


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A row group of a split; small enough to be sent to a worker.

    Attributes:
        size_bytes: of its columns, encoded and uncompressed.
    """

    path: str
    number: int
    rows: int
    size_bytes: int


def batch_rows(uri: str | os.PathLike[str], split: str, target_bytes: int = _BATCH_BYTES) -> int:
    """Rows per batch that take about `target_bytes` in memory, however wide they are."""
    groups = row_groups(uri, split)
    rows, uncompressed = sum(group.rows for group in groups), sum(group.size_bytes for group in groups)
    if rows == 0:
        return _MAX_ROWS
    return int(min(_MAX_ROWS, max(_MIN_ROWS, target_bytes // max(1, uncompressed // rows))))


def read_batches(
    uri: str | os.PathLike[str], split: str, columns: Sequence[str] | None = None, rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a split as RecordBatches of plain columns.

    Args:
        rows: at most so many rows a batch; default about 32 MiB.
    """
    size = rows or batch_rows(uri, split)
    for path in split_files(uri, split):
        yield from read_file(path, columns, size)


def read_file(
    path: str | os.PathLike[str], columns: Sequence[str] | None, rows: int, group: int | None = None
) -> Iterator[pa.RecordBatch]:
    """One file of Examples, or one row group of it, as batches of plain columns, at most `rows` each."""
    with pq.ParquetFile(path) as file:
        groups = None if group is None else [group]
        for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=columns):
            progress.rows(batch.num_rows)
            yield plain_batch(batch)


def read_list_batches(
    uri: str | os.PathLike[str], split: str, columns: Sequence[str] | None = None, rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """As `read_batches`, with the list columns that TFDV and TFT take, and no batch without rows."""
    size = rows or batch_rows(uri, split)
    for group in row_groups(uri, split):
        yield from read_group(group, columns, size)


def row_groups(uri: str | os.PathLike[str], split: str) -> list[RowGroup]:
    """The row groups of a split, in the order of its rows; read from the files' footers."""
    found = []
    for path in split_files(uri, split):
        metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            found.append(RowGroup(str(path), number, group.num_rows, group.total_byte_size))
    return found


def read_group(group: RowGroup, columns: Sequence[str] | None, rows: int) -> Iterator[pa.RecordBatch]:
    """One row group in list columns, in the order asked for; at most `rows` a batch and no batch without rows."""
    names = None if columns is None else list(columns)
    with pq.ParquetFile(group.path) as file:
        for batch in file.iter_batches(batch_size=rows, row_groups=[group.number], columns=names):
            if batch.num_rows:
                progress.rows(batch.num_rows)
                yield tfx_columns(batch if names is None else batch.select(names))


def read_split(uri: str | os.PathLike[str], split: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole split as one table of plain columns."""
    tables = [_read(path, columns) for path in split_files(uri, split)]
    return pa.concat_tables([_plain_table(table) for table in tables])


def read_rows(
    uri: str | os.PathLike[str], split: str, places: npt.NDArray[np.int64], columns: Sequence[str]
) -> pa.Table:
    """Some rows of a split, by their places in it and in the order of these; reads the row groups that hold one."""
    tables, found, first = [], [places[:0]], 0
    for group in row_groups(uri, split):
        here = places[(places >= first) & (places < first + group.rows)]
        if len(here):
            with pq.ParquetFile(group.path) as file:
                tables.append(_plain_table(file.read_row_group(group.number, list(columns))).take(here - first))
            found.append(here)
        first += group.rows
    order = np.argsort(np.concatenate(found), kind="stable")
    return pa.concat_tables(tables).select(list(columns)).take(order[np.argsort(np.argsort(places, kind="stable"))])


def _read(path: str | os.PathLike[str], columns: Sequence[str] | None) -> pa.Table:
    found = pathlib.Path(path).stat()
    file = _opened(str(path), found.st_mtime_ns, found.st_size)
    # A file without rows may have no row groups, and then Arrow does not even return its columns.
    table = file.read(columns=columns) if file.num_row_groups else file.schema_arrow.empty_table()
    return table if columns is None else table.select(list(columns))


@functools.lru_cache(maxsize=_OPEN_FILES)
def _opened(path: str, changed_ns: int, size: int) -> pq.ParquetFile:
    """An open file, cached: its footer describes every column, and takes as long to read as hundreds of columns."""
    return pq.ParquetFile(path)


def _plain_table(table: pa.Table) -> pa.Table:
    stored = table.schema
    plain = plain_schema(stored)
    if plain is stored:
        return table
    schema = pa.schema([plain.field(name) for name in table.column_names])
    return pa.Table.from_batches([plain_batch(batch) for batch in table.to_batches()], schema)
