"""Columnar Examples as a Beam source whose elements are RecordBatches. Apart, since importing Beam takes seconds."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from components.columnar._arrow import tfx_columns
from components.columnar._files import split_files
from components.columnar._reading import batch_rows

# What one worker reads in one go: a million rows of a narrow table, so that names stay few and reading runs ahead.
_GROUPS_AT_ONCE = 16


class ReadExamples(beam.PTransform):
    """Reads a split, some row groups an element of work, as RecordBatches of list columns (what TFDV and TFT take).

    Args:
        uri: of an Examples artifact.
        split: its name.
        columns: which to read; default all.
        after: reading begins when this collection is whole. For a pass that has to wait for a result of another one: so
            it is the names of row groups that wait, and not their rows.
    """

    def __init__(
        self,
        uri: str,
        split: str,
        columns: tuple[str, ...] | None = None,
        after: beam.PCollection | None = None,
    ) -> None:
        super().__init__()
        self._uri, self._split, self._columns, self._after = uri, split, columns, after

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        rows = batch_rows(self._uri, self._split)
        groups = [
            (str(path), range(first, min(first + _GROUPS_AT_ONCE, count)))
            for path in split_files(self._uri, self._split)
            for count in (pq.read_metadata(path).num_row_groups,)
            for first in range(0, count, _GROUPS_AT_ONCE)
        ]
        waits = [] if self._after is None else [beam.pvalue.AsIter(self._after)]
        return (
            pbegin
            | "RowGroups" >> beam.Create(groups, reshuffle=len(groups) > 1)
            | "Read" >> beam.FlatMap(_read_ahead, rows, self._columns, *waits).with_output_types(pa.RecordBatch)
        )


def _read_ahead(
    groups: tuple[str, range], rows: int, columns: tuple[str, ...] | None, after: Any = None
) -> Iterator[pa.RecordBatch]:
    """Decodes the next batch on another core while this one is worked on."""
    batches = _read(groups, rows, columns)
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _read(groups: tuple[str, range], rows: int, columns: tuple[str, ...] | None) -> Iterator[pa.RecordBatch]:
    path, numbers = groups
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(
            batch_size=rows, row_groups=list(numbers), columns=list(columns) if columns else None
        ):
            if batch.num_rows:
                yield tfx_columns(batch)
