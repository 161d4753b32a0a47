"""Writes CSV that stock TFX's CsvExampleGen can read, block by block, with little memory at any size."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.csv

_ROWS_PER_BLOCK = 100_000


def blocks(rows: int, most: int = _ROWS_PER_BLOCK) -> Iterator[int]:
    """The number of rows of each block."""
    for start in range(0, rows, most):
        yield min(most, rows - start)


def write_csv(path: pathlib.Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Writes tables of one schema as one file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    # pyarrow quotes the names in the header, and stock TFX would take the quotes as part of the names.
    options = pa.csv.WriteOptions(include_header=False)
    with partial.open("wb") as file, pa.csv.CSVWriter(file, schema, write_options=options) as writer:
        file.write((",".join(schema.names) + "\n").encode())
        for table in tables:
            writer.write_table(table)
    partial.rename(path)
