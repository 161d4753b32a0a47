from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from components.columnar._arrow import tfx_columns
from components.columnar._files import split_files
from components.columnar._layout import plain_batch, plain_schema

_BATCH_BYTES = 32 * 2**20
_MIN_ROWS, _MAX_ROWS = 1, 65_536


def batch_rows(uri: str | os.PathLike[str], split: str, target_bytes: int = _BATCH_BYTES) -> int:
    """Rows a batch that come to about `target_bytes` in memory, so that wide rows do not fill it."""
    rows = uncompressed = 0
    for path in split_files(uri, split):
        metadata = pq.read_metadata(path)
        rows += metadata.num_rows
        uncompressed += sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if rows == 0:
        return _MAX_ROWS
    return int(min(_MAX_ROWS, max(_MIN_ROWS, target_bytes // max(1, uncompressed // rows))))


def read_batches(
    uri: str | os.PathLike[str], split: str, columns: Sequence[str] | None = None, rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a split as RecordBatches of plain columns.

    Args:
        uri: of an Examples artifact.
        split: its name.
        columns: which to read; default all.
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
            yield plain_batch(batch)


def read_list_batches(
    uri: str | os.PathLike[str], split: str, columns: Sequence[str] | None = None, rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """As `read_batches`, with the list columns that TFDV and TFT take, and no batch without rows."""
    size = rows or batch_rows(uri, split)
    for group in row_groups(uri, split):
        yield from read_group(group, columns, size)


def row_groups(uri: str | os.PathLike[str], split: str) -> list[tuple[str, int]]:
    """The row groups of a split, each a file and the group's number: the pieces in which it can be read."""
    return [
        (str(path), number)
        for path in split_files(uri, split)
        for number in range(pq.read_metadata(path).num_row_groups)
    ]


def read_group(group: tuple[str, int], columns: Sequence[str] | None, rows: int) -> Iterator[pa.RecordBatch]:
    """One row group in list columns, in the order asked for; at most `rows` a batch and no batch without rows."""
    path, number = group
    names = None if columns is None else list(columns)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows, row_groups=[number], columns=names):
            if batch.num_rows:
                yield tfx_columns(batch if names is None else batch.select(names))


def read_split(uri: str | os.PathLike[str], split: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole split as one table of plain columns."""
    tables = [pq.read_table(path, columns=columns) for path in split_files(uri, split)]
    return pa.concat_tables([_plain_table(table) for table in tables])


def _plain_table(table: pa.Table) -> pa.Table:
    stored = table.schema
    plain = plain_schema(stored)
    if plain is stored:
        return table
    schema = pa.schema([plain.field(name) for name in table.column_names])
    return pa.Table.from_batches([plain_batch(batch) for batch in table.to_batches()], schema)
