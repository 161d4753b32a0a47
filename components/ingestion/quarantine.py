"""The side file of rows that do not fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from components.ingestion.rows import BadRow

SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("content", pa.string()),
    ]
)
QUARANTINE_FILE = "quarantine.parquet"
ROWS_QUARANTINED = "rows_quarantined"


class BadRowWriter:
    """Writes bad rows as Parquet: file, row, column, reason, content.

    Attributes:
        rows: how many.
        first: the first of them in words; empty while there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.rows = 0
        self.first = ""
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="snappy")

    def write(self, file: str, bad: Sequence[BadRow]) -> None:
        """Appends rows of one file."""
        if not bad:
            return
        if not self.first:
            column = f", column {bad[0].column!r}" if bad[0].column else ""
            row = f", row {bad[0].row}" if bad[0].row else ""
            self.first = f"{file}{row}{column}: {bad[0].reason}"
        rows = [{"file": file, "row": b.row, "column": b.column, "reason": b.reason, "content": b.content} for b in bad]
        self._writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
        self.rows += len(bad)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
