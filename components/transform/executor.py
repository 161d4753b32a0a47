from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx import types
from tfx.types import artifact_utils
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from components import user_code
from components.artifacts import ROWS_IN, ROWS_OUT, measured
from components.columnar import PAYLOAD_FORMAT, count_rows, decode_splits, plain_columns, read_batches, tfx_columns
from components.columnar.beam import ReadExamples
from components.columnar.executor import ColumnarBeamExecutor
from components.columnar.sink import WriteExamples
from components.errors import InputError
from components.schema import read_schema
from components.transform.labels import map_label, output_classes


class Executor(ColumnarBeamExecutor):
    """Analyses the train split, writes the transform graph, and materialises every split as Parquet."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
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
        output.set_int_custom_property("payload_format", PAYLOAD_FORMAT)
        output.set_string_custom_property("file_format", "parquet")

    def _transform(
        self,
        uri: str,
        splits: list[str],
        schema: schema_pb2.Schema,
        graph: str,
        target: str,
        properties: dict[str, Any],
    ) -> None:
        module, label, task = properties["module_file"], properties["label"], properties["task"]
        classes = output_classes(schema, label, task, properties["positive_class"])
        function = _with_label(user_code.load_function(module, "preprocessing_fn"), module, label, classes, task)
        config = _tensors(schema, next(read_batches(uri, splits[0], rows=1)))
        with user_code.blame(module), self._pipeline() as pipeline:
            with tft_beam.Context(temp_dir=self._get_tmp_dir()):
                data = {split: pipeline | f"Read[{split}]" >> ReadExamples(uri, split) for split in splits}
                transform_fn = (data["train"], config) | "Analyze" >> tft_beam.AnalyzeDataset(function)
                _ = transform_fn | "WriteGraph" >> tft_beam.WriteTransformFn(graph)
                for split, batches in data.items():
                    transformed, _ = ((batches, config), transform_fn) | f"Transform[{split}]" >> (
                        tft_beam.TransformDataset(output_record_batches=True)
                    )
                    _ = (
                        transformed
                        | f"Plain[{split}]" >> beam.Map(_plain)
                        | f"Write[{split}]" >> WriteExamples(target, split)
                    )
        # The raw schema completes TFX's TransformGraph: the serving graph parses requests by it.
        raw = pathlib.Path(graph) / tft.TFTransformOutput.RAW_METADATA_DIR
        metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), str(raw))


def _tensors(schema: schema_pb2.Schema, sample: pa.RecordBatch) -> tensor_adapter.TensorAdapterConfig:
    """Which tensor each column becomes: dense where the schema gives a shape, sparse otherwise."""
    representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema)
    return tensor_adapter.TensorAdapterConfig(tfx_columns(sample).schema, representations)


def _with_label(
    preprocessing_fn: Callable[..., Any], module_file: str, label: str, classes: list[str], task: str
) -> Callable[..., Any]:
    def transform(inputs: dict[str, Any]) -> dict[str, Any]:
        features = {name: tensor for name, tensor in inputs.items() if name != label}
        with user_code.blame(module_file):
            outputs = preprocessing_fn(dict(features))
        _check_outputs(outputs, label, module_file)
        return {**outputs, label: map_label(inputs[label], classes, task)}

    return transform


def _check_outputs(outputs: Any, label: str, module_file: str) -> None:
    if not isinstance(outputs, dict) or not outputs:
        raise InputError(
            f"{module_file}: preprocessing_fn must return a dictionary of features. Received: {type(outputs).__name__}."
        )
    if label in outputs:
        raise InputError(
            f"{module_file}: preprocessing_fn returns {label!r}, the label, which is mapped for it. Leave it out."
        )
    for name, tensor in outputs.items():
        if isinstance(tensor, (tf.SparseTensor, tf.RaggedTensor)):
            raise InputError(
                f"{module_file}: feature {name!r} is {type(tensor).__name__}; a model takes dense features. "
                "Fill missing values first, e.g. tf.sparse.to_dense(x, default_value=0)."
            )


def _plain(batch_and_passthrough: tuple[pa.RecordBatch, Any]) -> pa.RecordBatch:
    return plain_columns(batch_and_passthrough[0])


def transformed_features(graph: str) -> Iterator[tuple[str, Any]]:
    """Names and specs of the transformed features in a transform graph, sorted by name."""
    yield from sorted(tft.TFTransformOutput(str(pathlib.Path(graph))).transformed_feature_spec().items())
