from __future__ import annotations

import pathlib
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx.types import artifact_utils
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from components import border, user_code
from components.artifacts import ROWS_IN, ROWS_OUT, Artifacts, measured
from components.columnar import (
    count_rows,
    decode_splits,
    mark_as_parquet,
    plain_columns,
    read_batches,
    stored_batch,
    tfx_columns,
)
from components.columnar.beam import ReadExamples
from components.columnar.executor import ColumnarBeamExecutor
from components.columnar.sink import WriteExamples
from components.positive import Positive
from components.schema import read_schema, withheld_columns, without
from components.tasks import find
from components.transform._source_keys import quick_source_keys
from components.transform.labels import output_classes, positive_class, write_positive
from components.transform.preprocessing import with_label
from spec.splits import TRAIN

_SPLIT = "__trainyard_split__"  # passes through the transform beside the features


class Executor(ColumnarBeamExecutor):
    """Analyses the train split, writes the transform graph, and materialises every split as Parquet."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        graph = artifact_utils.get_single_uri(output_dict["transform_graph"])
        output = artifact_utils.get_single_instance(output_dict["transformed_examples"])
        splits = decode_splits(examples.split_names)
        with measured(output_dict) as rows:
            self._transform(examples.uri, splits, schema, graph, output.uri, exec_properties)
            rows[ROWS_IN] = sum(count_rows(examples.uri, split) for split in splits)
            rows[ROWS_OUT] = sum(count_rows(output.uri, split) for split in splits)
        if rows[ROWS_IN] != rows[ROWS_OUT]:
            raise RuntimeError(f"{rows[ROWS_IN]} rows went into Transform and {rows[ROWS_OUT]} came out")
        output.split_names = examples.split_names
        output.span = examples.span
        mark_as_parquet(output)

    def _transform(
        self,
        uri: str,
        splits: list[str],
        schema: schema_pb2.Schema,
        graph: str,
        target: str,
        properties: dict[str, Any],
    ) -> None:
        module, label, task = properties["module_file"], properties["label"] or None, find(properties["task"])
        positive = _positive(uri, schema, properties)
        classes = output_classes(schema, label, task, positive.name)
        digest = properties["module_digest"]
        loaded = user_code.load_function(module, "preprocessing_fn", digest)
        options = border.load(dict[str, Any], properties["task_options"])
        made = task(classes, options=options)
        lists: set[str] | None = set() if user_code.find_function(module, "late_fn", digest) else None
        withheld = withheld_columns(schema, border.load(tuple[str, ...], properties["personal_features"]), label)
        function = with_label(loaded, lambda: user_code.calling(module, digest), module, label, made, lists, withheld)
        sample = next(read_batches(uri, splits[0], rows=1))
        config = _tensors(schema, sample)
        marked_config = _tensors(schema, sample, mark=_SPLIT)
        with user_code.blame(module), quick_source_keys(), self._pipeline() as pipeline:
            with tft_beam.Context(temp_dir=self._get_tmp_dir()):
                train = pipeline | "ReadToAnalyze" >> ReadExamples(uri, TRAIN)
                transform_fn = (train, config) | "Analyze" >> tft_beam.AnalyzeDataset(function)
                _ = transform_fn | "WriteGraph" >> tft_beam.WriteTransformFn(graph)
            # Read again: a runner would keep all rows in memory until the graph is there to transform them.
            # All splits in one go, each row marked with its split: the transform graph is loaded once, not once a split.
            marked = [
                pipeline
                | f"Read[{split}]" >> ReadExamples(uri, split, after=transform_fn[0])
                | f"Mark[{split}]" >> beam.Map(_marked, number)
                for number, split in enumerate(splits)
            ]
            with tft_beam.Context(temp_dir=self._get_tmp_dir(), passthrough_keys={_SPLIT}):
                together = marked | "Together" >> beam.Flatten()
                transformed, _ = ((together, marked_config), transform_fn) | "Transform" >> (
                    tft_beam.TransformDataset(output_record_batches=True)
                )
            parts = transformed | "Divide" >> beam.Partition(_split_number, len(splits))
            for split, batches in zip(splits, parts, strict=True):
                _ = (
                    batches
                    | f"Stored[{split}]" >> beam.Map(_stored, frozenset(lists or ()))
                    | f"Write[{split}]" >> WriteExamples(target, split)
                )
        # The raw schema completes TFX's TransformGraph: the serving graph parses requests by it, so that they need not carry what
        # no feature is made of.
        raw = pathlib.Path(graph) / tft.TFTransformOutput.RAW_METADATA_DIR
        metadata_io.write_metadata(dataset_metadata.DatasetMetadata(without(schema, withheld)), str(raw))
        if positive.name:
            write_positive(graph, positive)


def _positive(uri: str, schema: schema_pb2.Schema, properties: dict[str, Any]) -> Positive:
    if properties["positive_class"]:
        return Positive(properties["positive_class"], "data.label.positive_class says so")
    return positive_class(uri, schema, properties["label"] or None, find(properties["task"])) or Positive("", "")


def _tensors(
    schema: schema_pb2.Schema, sample: pa.RecordBatch, mark: str | None = None
) -> tensor_adapter.TensorAdapterConfig:
    """Which tensor each column becomes: dense where the schema gives a shape, sparse otherwise; `mark` becomes none."""
    representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema)
    columns = tfx_columns(sample).schema
    if mark is not None:
        columns = columns.append(pa.field(mark, pa.large_list(pa.int64())))
    return tensor_adapter.TensorAdapterConfig(columns, representations)


def _marked(batch: pa.RecordBatch, split: int) -> pa.RecordBatch:
    offsets = pa.array(np.arange(batch.num_rows + 1))
    mark = pa.LargeListArray.from_arrays(offsets, pa.array(np.full(batch.num_rows, split)))
    return batch.append_column(_SPLIT, mark)


def _split_number(batch_and_passthrough: tuple[pa.RecordBatch, Any], splits: int) -> int:
    number: int = batch_and_passthrough[0].column(_SPLIT)[0][0].as_py()
    return number


def _stored(batch_and_passthrough: tuple[pa.RecordBatch, Any], lists: frozenset[str]) -> pa.RecordBatch:
    batch = batch_and_passthrough[0]
    names = [name for name in batch.schema.names if name != _SPLIT]
    dense = plain_columns(batch.select([name for name in names if name not in lists]))
    kept = [batch.column(name) if name in lists else dense.column(name) for name in names]
    return stored_batch(pa.RecordBatch.from_arrays(kept, names=names))
