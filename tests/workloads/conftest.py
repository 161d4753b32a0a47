"""A workload's folder and contracts, with real data to hold them against."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt
import pyarrow as pa
import pytest

from components import user_code
from components.columnar import tfx_columns
from components.ingestion.contract import columns_of
from components.ingestion.readers import read_file
from components.schema import classes_of, read_schema
from components.trainer import Feature, ModelSchema
from pipelines import datasets
from spec import home
from spec.errors import InputError
from spec.workload import Workload, load_workload
from tests.yard import places

__all__ = ["places"]

Arrays = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Case:
    """One workload as a developer of it sees it."""

    workload: Workload
    landing: pathlib.Path

    @property
    def folder(self) -> pathlib.Path:
        return home.workloads_root() / self.workload.name

    @property
    def contracts(self) -> pathlib.Path:
        return home.schemas_root() / self.workload.name

    def rows(self, span: int = 1) -> pa.Table:
        """The rows of a span as ingestion hands them on."""
        data = self.workload.data
        ignore = [*data.ignore, *([data.split.column] if data.split.column else [])]
        columns = columns_of(read_schema(str(self.contracts)))
        file = next(datasets.prepare(data.dataset or "", span, self.landing / self.workload.name).iterdir())
        return pa.Table.from_batches(read_file(file, data.format, columns, ignore, reading=data.read))

    def anomalies(self, rows: pa.Table) -> dict[str, str]:
        """What the schema says against the rows, by column."""
        import tensorflow_data_validation as tfdv
        from tensorflow_data_validation.statistics import stats_impl

        schema = read_schema(str(self.contracts))
        batch = tfx_columns(rows.combine_chunks().to_batches()[0])
        statistics = stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions(schema=schema))
        found = tfdv.validate_statistics(statistics, schema).anomaly_info
        return {column: f"{info.short_description}: {info.description}" for column, info in found.items()}

    def failed_expectations(self, rows: pa.Table) -> list[str]:
        """The expectations, of any severity, that the rows do not meet; the suite is read as GX itself reads it."""
        import great_expectations as gx

        suite = gx.ExpectationSuite(**json.loads((self.contracts / "expectations.json").read_text(encoding="utf-8")))
        asset = gx.get_context(mode="ephemeral").data_sources.add_pandas("rows").add_dataframe_asset("rows")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows.to_pandas()})
        failed = [one.expectation_config for one in batch.validate(suite).results if not one.success]
        return [f"{config.type}({config.kwargs.get('column', '')}) {config.severity.value}" for config in failed]

    def transform(self, *tables: pa.Table) -> tuple[ModelSchema, list[Arrays]]:
        """Analyses the first table and transforms all: the model's schema, and the features of each."""
        import apache_beam as beam
        import tensorflow_transform as tft
        import tensorflow_transform.beam as tft_beam
        from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

        from components.columnar.eager import EagerRunner
        from components.trainer.late import as_stored, load
        from components.trainer.training import transformed_features
        from components.transform.preprocessing import with_label

        label = self.workload.data.label.column
        raw = read_schema(str(self.contracts))
        classes = tuple(classes_of(raw, label))
        raw.feature.remove(next(feature for feature in raw.feature if feature.name == label))
        batches = [tfx_columns(table.drop([label]).combine_chunks().to_batches()[0]) for table in tables]
        tensors = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(raw)
        config = tensor_adapter.TensorAdapterConfig(batches[0].schema, tensors)
        module = str(self.folder / "features.py")
        lists: set[str] | None = set() if user_code.find_function(module, "late_fn") else None
        loaded = user_code.load_function(module, "preprocessing_fn")
        function = with_label(loaded, lambda: user_code.calling(module), module, None, None, lists)
        graph = str(self.landing / f"graph-{self.workload.name}-{len(list(self.landing.iterdir()))}")
        with tft_beam.Context(temp_dir=graph + "-temp"), beam.Pipeline(EagerRunner()) as pipeline:
            data = pipeline | beam.Create(batches[:1])
            _ = ((data, config) | tft_beam.AnalyzeDataset(function)) | tft_beam.WriteTransformFn(graph)
        output = tft.TFTransformOutput(graph)
        layer = output.transform_features_layer()
        adapter = tensor_adapter.TensorAdapter(config)
        late = load(module, transformed_features(output, label))
        made = [late.served(as_stored(layer(adapter.ToBatchTensors(one)), late.stored.values())) for one in batches]
        arrays = [{name: tensor.numpy() for name, tensor in one.items()} for one in made]
        return ModelSchema(late.features, self.workload.task, label, classes), arrays

    def vectors(self, rows: pa.Table) -> tuple[ModelSchema, Arrays]:
        """Transforms rows whose one column is always present, by a function that needs no analysis."""
        import tensorflow as tf

        from components.trainer.late import load

        label = self.workload.data.label.column
        (name,) = set(rows.column_names) - {label}
        module = str(self.folder / "features.py")
        function = user_code.load_function(module, "preprocessing_fn")
        values = rows[name].to_pylist()
        dtype = tf.string if isinstance(values[0], bytes | str) else tf.float32
        made = function({name: tf.constant(values, dtype)})
        late = load(module, {n: Feature(n, t.dtype.name, tuple(t.shape[1:])) for n, t in made.items()})
        outputs = {n: t.numpy() for n, t in late.served(made).items()}
        classes = tuple(classes_of(read_schema(str(self.contracts)), label))
        return ModelSchema(late.features, self.workload.task, label, classes), outputs

    def fit(self, schema: ModelSchema, features: Arrays, labels: npt.NDArray[Any], epochs: int) -> Any:
        """Builds the model as the Trainer does, with the workload's seed, and fits it."""
        import keras

        training = self.workload.training
        keras.utils.set_random_seed(training.seed)
        steps = {"steps_per_epoch": -(-len(labels) // training.batch_size), "epochs": epochs}
        build: Callable[..., Any] = user_code.load_function(str(self.folder / "model.py"), "build_model")
        hyperparameters: Mapping[str, Any] = {**training.hyperparameters, **steps}
        model = build(schema, hyperparameters)
        if not model.compiled:
            loss = "binary_crossentropy" if schema.task == "binary" else "sparse_categorical_crossentropy"
            model.compile(keras.optimizers.Adam(hyperparameters["learning_rate"]), loss)
        model.fit(features, labels, batch_size=training.batch_size, epochs=epochs, verbose=0)
        return model


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """A workload by name; skips the test if its data cannot be had."""
    landing = tmp_path_factory.mktemp("landing")

    def get(name: str) -> Case:
        workload = load_workload(home.workloads_root() / name)
        try:
            datasets.prepare(workload.data.dataset or "", 1, landing / name)
        except InputError as error:
            pytest.skip(str(error))
        return Case(workload, landing)

    return get
