"""Columnar Examples as a Beam source of RecordBatches. A separate module because importing Beam takes seconds."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from components.columnar._reading import RowGroup, batch_rows, read_group, row_groups

# Read together by one worker: a million rows of a narrow table, so that there are few elements and reading runs ahead.
_GROUPS_AT_ONCE = 16


class ReadExamples(beam.PTransform):
    """Reads a split as RecordBatches of list columns, which TFDV and TFT need; each element of work is some row groups.

    Args:
        columns: which to read, in this order; default all.
        rows: at most so many rows a batch; default about 32 MiB.
        after: reading starts when this collection is complete. For a pass that needs another one's result: then only the names
            of row groups are kept waiting, not their rows.
    """

    def __init__(
        self,
        uri: str,
        split: str,
        columns: tuple[str, ...] | None = None,
        rows: int | None = None,
        after: beam.PCollection | None = None,
    ) -> None:
        super().__init__()
        self._uri, self._split, self._columns, self._rows, self._after = uri, split, columns, rows, after

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        rows = self._rows or batch_rows(self._uri, self._split)
        groups = row_groups(self._uri, self._split)
        runs = [groups[first : first + _GROUPS_AT_ONCE] for first in range(0, len(groups), _GROUPS_AT_ONCE)]
        waits = [] if self._after is None else [beam.pvalue.AsIter(self._after)]
        return (
            pbegin
            | "RowGroups" >> beam.Create(runs, reshuffle=len(runs) > 1)
            | "Read" >> beam.FlatMap(_read_ahead, self._columns, rows, *waits).with_output_types(pa.RecordBatch)
        )


def _read_ahead(
    groups: list[RowGroup], columns: tuple[str, ...] | None, rows: int, after: Any = None
) -> Iterator[pa.RecordBatch]:
    """Decodes the next batch on another core while this one is processed."""
    batches = (batch for group in groups for batch in read_group(group, columns, rows))
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch
