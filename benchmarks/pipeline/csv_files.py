"""CSV as stock TFX's CsvExampleGen reads it, written block by block: memory stays small at any size."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.csv

_ROWS_PER_BLOCK = 100_000


def blocks(rows: int, most: int = _ROWS_PER_BLOCK) -> Iterator[int]:
    """How many rows each block has."""
    for start in range(0, rows, most):
        yield min(most, rows - start)


def write_csv(path: pathlib.Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Writes tables of one schema as one file, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    # pyarrow puts the header's names into quotes, and stock TFX takes the quotes for part of the names.
    options = pa.csv.WriteOptions(include_header=False)
    with partial.open("wb") as file, pa.csv.CSVWriter(file, schema, write_options=options) as writer:
        file.write((",".join(schema.names) + "\n").encode())
        for table in tables:
            writer.write_table(table)
    partial.rename(path)
