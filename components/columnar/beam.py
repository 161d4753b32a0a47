"""Columnar Examples as a Beam source whose elements are RecordBatches. Apart, since importing Beam takes seconds."""

from __future__ import annotations

import apache_beam as beam
import pyarrow as pa

from components.columnar._reading import batch_rows, read_group, row_groups


class ReadExamples(beam.PTransform):
    """Reads a split, a row group an element of work, as RecordBatches of list columns (what TFDV and TFT take).

    Args:
        uri: of an Examples artifact.
        split: its name.
        columns: which to read, in this order; default all.
        rows: at most so many rows a batch; default about 32 MiB.
    """

    def __init__(self, uri: str, split: str, columns: tuple[str, ...] | None = None, rows: int | None = None) -> None:
        super().__init__()
        self._uri, self._split, self._columns, self._rows = uri, split, columns, rows

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        rows = self._rows or batch_rows(self._uri, self._split)
        groups = row_groups(self._uri, self._split)
        return (
            pbegin
            | "RowGroups" >> beam.Create(groups, reshuffle=len(groups) > 1)
            | "Read" >> beam.FlatMap(read_group, self._columns, rows).with_output_types(pa.RecordBatch)
        )
