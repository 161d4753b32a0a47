"""A dry run of a workload's own code on a few rows: real TFT, real Keras, no training."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.columnar import tfx_columns
from components.ingestion.contract import columns_of
from components.schema import read_schema
from components.user_code import blame, calling, find_function, load_function
from spec.workload import Workload, load_workload


def try_workload(
    workload_folder: str | os.PathLike[str],
    schema_folder: str | os.PathLike[str],
    rows: Mapping[str, Sequence[Any]],
    scratch: str | os.PathLike[str],
) -> npt.NDArray[np.float32]:
    """Runs preprocessing_fn on rows and the untrained model on what comes out.

    Args:
        rows: raw values by column, None where missing; the label may be among them.
        scratch: an empty folder for TFT.

    Returns:
        the model's output, [N, *head_shape of the task].

    Raises:
        InputError: the workload's code or contracts are at fault; says where.
        WorkloadError: workload.yaml is.
    """
    from components.data_quality.contract import check_suite

    folder, contracts = pathlib.Path(workload_folder), pathlib.Path(schema_folder)
    workload = load_workload(folder)
    schema = read_schema(str(contracts))
    check_suite(contracts / "expectations.json", contracts)
    graph = _analyze(str(folder / "features.py"), schema, rows, workload.data.label_column, scratch)
    return _predict(str(folder / "model.py"), workload, schema, graph, rows)


def _analyze(module: str, schema: Any, rows: Mapping[str, Sequence[Any]], label: str | None, scratch: Any) -> Any:
    """Runs TFT's analysis of preprocessing_fn over the rows; returns its TFTransformOutput."""
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

    from components.transform.preprocessing import with_label

    raw = type(schema)()
    raw.CopyFrom(schema)
    del raw.feature[:]
    raw.feature.extend(feature for feature in schema.feature if feature.name != label)
    columns = {column.name: pa.array(list(rows[column.name]), column.type) for column in columns_of(raw)}
    batch = tfx_columns(pa.record_batch(columns))
    representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(raw)
    config = tensor_adapter.TensorAdapterConfig(batch.schema, representations)
    graph = str(pathlib.Path(scratch) / "graph")
    lists: set[str] | None = set() if find_function(module, "late_fn") else None
    loaded = load_function(module, "preprocessing_fn")
    function = with_label(loaded, lambda: calling(module), module, None, None, lists)
    options = PipelineOptions(["--runner=DirectRunner", "--direct_running_mode=in_memory"])
    with blame(module), beam.Pipeline(options=options) as pipeline, tft_beam.Context(temp_dir=os.fspath(scratch)):
        transform = (pipeline | beam.Create([batch]), config) | tft_beam.AnalyzeDataset(function)
        _ = transform | tft_beam.WriteTransformFn(graph)
    return tft.TFTransformOutput(graph)


def _predict(
    module: str, workload: Workload, schema: Any, graph: Any, rows: Mapping[str, Sequence[Any]]
) -> npt.NDArray[np.float32]:
    import tensorflow as tf
    from tensorflow_transform.tf_metadata import schema_utils

    from components.tasks import find
    from components.trainer import ModelSchema
    from components.trainer.late import as_stored, load
    from components.trainer.training import transformed_features
    from components.transform.labels import output_classes

    label = workload.data.label_column
    specs = schema_utils.schema_as_feature_spec(schema).feature_spec
    raw = {name: _tensor(rows[name], spec) for name, spec in specs.items() if name != label}
    late = load(str(pathlib.Path(module).with_name("features.py")), transformed_features(graph, label))
    features = late.served(as_stored(graph.transform_features_layer()(raw), late.stored.values()))
    positive = workload.data.label.positive_class if workload.data.label else None
    classes = output_classes(schema, label, find(workload.task), positive or "")
    build_model = load_function(module, "build_model")
    steps = {"steps_per_epoch": 1, "epochs": workload.training.epochs}  # as the trainer gives them
    with blame(module):
        model = build_model(
            ModelSchema(
                late.features,
                workload.task,
                label,
                tuple(classes),
                task_options=workload.task_options.model_dump(mode="json"),
            ),
            {**workload.training.hyperparameters, **steps},
        )
        return np.asarray(tf.cast(model(features, training=False), tf.float32))


def _tensor(values: Sequence[Any], spec: Any) -> Any:
    import tensorflow as tf

    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.constant(list(values), spec.dtype)
    present = [(row, value) for row, value in enumerate(values) if value is not None]
    indices = np.array([(row, 0) for row, _ in present], np.int64).reshape(-1, 2)
    return tf.SparseTensor(indices, tf.constant([value for _, value in present], spec.dtype), [len(values), 1])
