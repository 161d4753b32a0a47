"""Columnar Examples as a Beam source whose elements are RecordBatches. Apart, since importing Beam takes seconds."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from components.columnar._reading import RowGroup, batch_rows, read_group, row_groups

# What one worker reads in one go: a million rows of a narrow table, so that names stay few and reading runs ahead.
_GROUPS_AT_ONCE = 16


class ReadExamples(beam.PTransform):
    """Reads a split, some row groups an element of work, as RecordBatches of list columns (what TFDV and TFT take).

    Args:
        uri: of an Examples artifact.
        split: its name.
        columns: which to read, in this order; default all.
        rows: at most so many rows a batch; default about 32 MiB.
        after: reading begins when this collection is whole. For a pass that has to wait for a result of another one: so
            it is the names of row groups that wait, and not their rows.
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
    """Decodes the next batch on another core while this one is worked on."""
    batches = (batch for group in groups for batch in read_group(group, columns, rows))
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch
