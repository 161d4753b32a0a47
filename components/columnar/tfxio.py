"""Columnar Examples as a TFXIO: what TFDV, TFT and TFX's own libraries know how to read from."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio import dataset_options, telemetry, tensor_representation_util, tfxio

from components.columnar._arrow import list_type
from components.columnar._files import split_schema
from components.columnar._reading import batch_rows, read_group, row_groups
from components.columnar.beam import ReadExamples

_FORMAT = "parquet"


class ExamplesTFXIO(tfxio.TFXIO):
    """One split of an Examples artifact, read by row groups.

    Args:
        uri: of the artifact.
        split: its name.
        schema: says which columns there are, in which order, and which tensors they become. Without one there are all columns,
            and no tensors.
        telemetry_descriptors: name the component that reads, for Beam's metrics.

    Raises:
        ValueError: the split lacks a column that the schema names.

    Example:
        source = ExamplesTFXIO(examples.uri, "train", schema, ["Transform"])
        batches = pipeline | source.BeamSource()
        dataset = source.TensorFlowDataset(TensorFlowDatasetOptions(batch_size=512, label_key="tip"))
    """

    def __init__(
        self,
        uri: str,
        split: str,
        schema: schema_pb2.Schema | None = None,
        telemetry_descriptors: Sequence[str] | None = None,
    ) -> None:
        self._uri, self._split, self._schema = uri, split, schema
        self._telemetry = None if telemetry_descriptors is None else list(telemetry_descriptors)
        self._stored = split_schema(uri, split)
        missing = [name for name in self._columns() if name not in self._stored.names]
        if missing:
            raise ValueError(
                f"{uri}, split {split!r}: has no column {missing[0]!r}, which the schema names. "
                f"Received: {', '.join(self._stored.names)}. Ingest the data again with this schema."
            )

    def BeamSource(self, batch_size: int | None = None) -> beam.PTransform:
        """Yields RecordBatches of at most `batch_size` rows; where a row group ends, a batch ends."""
        read = ReadExamples(self._uri, self._split, tuple(self._columns()), batch_size)
        return _Profiled(read, self._telemetry)

    def RecordBatches(self, options: dataset_options.RecordBatchesOptions) -> Iterator[pa.RecordBatch]:
        """Yields batches of just `batch_size` rows, but for an epoch's last one; without `num_epochs` for ever.

        Rows are shuffled as in `TensorFlowDataset`.
        """
        epochs = itertools.count() if options.num_epochs is None else range(options.num_epochs)
        for epoch in epochs:
            random = _random(options, epoch) if options.shuffle else None
            yield from self._epoch(options, random)

    def ArrowSchema(self) -> pa.Schema:
        """The columns of every RecordBatch."""
        return pa.schema([(name, list_type(self._stored.field(name).type)) for name in self._columns()])

    def TensorRepresentations(self) -> Mapping[str, schema_pb2.TensorRepresentation]:
        """Which tensor each column becomes: dense where the schema gives a shape, sparse otherwise.

        Raises:
            ValueError: there is no schema.
        """
        return tensor_representation_util.InferTensorRepresentationsFromMixedSchema(self._insist_on_schema())

    def TensorFlowDataset(self, options: dataset_options.TensorFlowDatasetOptions) -> tf.data.Dataset:
        """Batches of tensors by name, or pairs of those and the label.

        `shuffle` mixes the order of the row groups, and then the rows within `shuffle_buffer_size` of them, anew in each
        epoch. The numbers of threads and `sloppy_ordering` have no effect: Arrow decodes whole columns.

        Raises:
            ValueError: there is no schema, or no tensor `label_key`.
        """
        specs = self.TensorAdapter().TypeSpecs()
        label = options.label_key
        if label is not None and label not in specs:
            raise ValueError(f"label_key: must be one of {', '.join(sorted(specs))}. Received: {label!r}.")
        records = dataset_options.RecordBatchesOptions(
            options.batch_size,
            options.drop_final_batch,
            options.num_epochs,
            options.shuffle,
            options.shuffle_buffer_size,
            options.shuffle_seed,
        )

        def tensors() -> Iterator[dict[str, Any]]:
            adapter = self.TensorAdapter()
            for batch in self.RecordBatches(records):
                yield adapter.ToBatchTensors(batch, produce_eager_tensors=True)

        dataset = tf.data.Dataset.from_generator(tensors, output_signature=specs)
        if label is not None:
            dataset = dataset.map(lambda features: (features, features.pop(label)))
        return dataset.prefetch(options.prefetch_buffer_size)

    def _ProjectImpl(self, tensor_names: list[str]) -> tfxio.TFXIO:
        projected = copy.copy(self)
        projected._schema = tensor_representation_util.ProjectTensorRepresentationsInSchema(
            self._insist_on_schema(), tensor_names
        )
        return projected

    def _insist_on_schema(self) -> schema_pb2.Schema:
        if self._schema is None:
            raise ValueError(f"{self._uri}: tensors need a schema. Give one to {type(self).__name__}(schema=...).")
        return self._schema

    def _columns(self) -> list[str]:
        if self._schema is None:
            return list(self._stored.names)
        return [f.name for f in self._schema.feature if f.lifecycle_stage != schema_pb2.DEPRECATED]

    def _epoch(
        self, options: dataset_options.RecordBatchesOptions, random: np.random.Generator | None
    ) -> Iterator[pa.RecordBatch]:
        groups = row_groups(self._uri, self._split)
        rows = batch_rows(self._uri, self._split)
        if random is not None:
            groups = [groups[index] for index in random.permutation(len(groups))]
        batches = (batch for group in groups for batch in read_group(group, self._columns(), rows))
        size, rest = options.batch_size, None
        for block in _blocks(batches, max(size, options.shuffle_buffer_size) if random is not None else size):
            if random is not None:
                block = block.take(pa.array(random.permutation(block.num_rows)))
            if rest is not None:
                block = _joined([rest, block])
            whole = block.num_rows - block.num_rows % size
            for start in range(0, whole, size):
                yield block.slice(start, size)
            rest = block.slice(whole) if whole < block.num_rows else None
        if rest is not None and not options.drop_final_batch:
            yield rest


class _Profiled(beam.PTransform):
    def __init__(self, read: beam.PTransform, descriptors: list[str] | None) -> None:
        super().__init__()
        self._read, self._descriptors = read, descriptors

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection:
        batches = pbegin | "ReadExamples" >> self._read
        return batches | "Profile" >> telemetry.ProfileRecordBatches(self._descriptors, _FORMAT, _FORMAT)


def _random(options: dataset_options.RecordBatchesOptions, epoch: int) -> np.random.Generator:
    seed = options.shuffle_seed
    return np.random.default_rng(None if seed is None else [seed, epoch])


def _blocks(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Joins batches until they have `rows` rows or more."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        if sum(one.num_rows for one in pending) >= rows:
            yield _joined(pending)
            pending = []
    if pending:
        yield _joined(pending)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    (joined,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined
