"""The file of quarantined rows."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from components.ingestion.bad_rows import BadRow
from spec.errors import InputError

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
ROWS_UNLABELLED = "rows_unlabelled"  # left out because they have no label
QUARANTINE = "quarantine"  # the Examples artifact's property: a summary, in JSON
MOST_EXAMPLES = 10


class BadRowWriter:
    """Writes bad rows as Parquet: file, row, column, reason, content.

    Attributes:
        first: a description of the first; empty while there is none.
        examples: the first few: file, row, column, reason.
        by_column: how many by the column that does not fit; "": the whole row.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.rows = 0
        self.first = ""
        self.examples: list[dict[str, Any]] = []
        self.by_column: collections.Counter[str] = collections.Counter()
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="snappy")

    def write(self, file: str, bad: Sequence[BadRow]) -> None:
        """Appends rows of one file."""
        if not bad:
            return
        if not self.first:
            first = bad[0]
            self.first = str(InputError(first.reason, file=file, row=first.row, column=first.column))
        rows = [{"file": file, "row": b.row, "column": b.column, "reason": b.reason, "content": b.content} for b in bad]
        self._writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
        self.rows += len(bad)
        self.by_column.update(one.column or "" for one in bad)
        for fields in rows[: MOST_EXAMPLES - len(self.examples)]:
            self.examples.append({key: fields[key] for key in ("file", "row", "column", "reason")})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def merge(sides: Iterable[pathlib.Path], path: pathlib.Path) -> int:
    """Merges the quarantine files of several units, in order; returns the number of rows.

    Args:
        path: of the merged file; nothing is written where there are no rows.
    """
    rows = 0
    with contextlib.ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for side in sides:
            with pq.ParquetFile(side) as file:
                for batch in file.iter_batches() if file.metadata.num_row_groups else ():
                    if writer is None:
                        writer = stack.enter_context(pq.ParquetWriter(path, SCHEMA, compression="snappy"))
                    writer.write_batch(batch)
                    rows += batch.num_rows
    return rows
