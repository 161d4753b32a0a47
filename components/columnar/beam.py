"""Columnar Examples as a Beam source whose elements are RecordBatches. Apart, since importing Beam takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from components.columnar._arrow import tfx_columns
from components.columnar._files import split_files
from components.columnar._reading import batch_rows


class ReadExamples(beam.PTransform):
    """Reads a split, a row group an element of work, as RecordBatches of list columns (what TFDV and TFT take)."""

    def __init__(self, uri: str, split: str, columns: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self._uri, self._split, self._columns = uri, split, columns

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        rows = batch_rows(self._uri, self._split)
        groups = [
            (str(path), group)
            for path in split_files(self._uri, self._split)
            for group in range(pq.read_metadata(path).num_row_groups)
        ]
        return (
            pbegin
            | "RowGroups" >> beam.Create(groups, reshuffle=len(groups) > 1)
            | "Read" >> beam.FlatMap(_read_group, rows, self._columns).with_output_types(pa.RecordBatch)
        )


def _read_group(group: tuple[str, int], rows: int, columns: tuple[str, ...] | None) -> Iterator[pa.RecordBatch]:
    path, number = group
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(
            batch_size=rows, row_groups=[number], columns=list(columns) if columns else None
        ):
            if batch.num_rows:
                yield tfx_columns(batch)
