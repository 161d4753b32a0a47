"""Writes RecordBatches from Beam as one split of columnar Examples."""

from __future__ import annotations

import hashlib
import pathlib
import uuid
from collections.abc import Iterable

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from components.columnar._files import commit_shards, open_shard, split_directory


class WriteExamples(beam.PTransform):
    """Writes a split: one shard per bundle, renamed when all are complete."""

    def __init__(self, uri: str, split: str) -> None:
        super().__init__()
        self._uri, self._split = uri, split

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        directory = str(split_directory(self._uri, self._split))
        shards = batches | "Shard" >> beam.ParDo(_WriteShard(directory))
        return (
            batches.pipeline
            | "Once" >> beam.Create([directory])
            | "Commit" >> beam.Map(_commit, beam.pvalue.AsList(shards))
        )


class _WriteShard(beam.DoFn):
    def __init__(self, directory: str) -> None:
        self._directory = directory

    def start_bundle(self) -> None:
        self._writer: pq.ParquetWriter | None = None

    def process(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            folder = pathlib.Path(self._directory)
            folder.mkdir(parents=True, exist_ok=True)
            # A retried bundle writes under another name, and only the names that Beam delivers are committed. Names begin with a
            # hash of the first rows, so that the order of shards, and so the model, does not depend on which worker was faster.
            first = hashlib.sha256(repr(batch.slice(0, 4).to_pylist()).encode()).hexdigest()[:16]
            self._path = folder / f".{first}-{uuid.uuid4().hex}.partial"
            self._writer = open_shard(self._path, batch.schema)
        self._writer.write_batch(batch)

    def finish_bundle(self) -> Iterable[beam.utils.windowed_value.WindowedValue]:
        if self._writer is not None:
            self._writer.close()
            yield beam.utils.windowed_value.WindowedValue(
                str(self._path), beam.window.GlobalWindow().max_timestamp(), [beam.window.GlobalWindow()]
            )


def _commit(directory: str, shards: list[str]) -> int:
    commit_shards([pathlib.Path(shard) for shard in sorted(shards)], directory, "examples")
    for leftover in pathlib.Path(directory).glob(".*.partial"):  # of bundles that were retried
        leftover.unlink()
    return len(shards)
