from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import border
from components.artifacts import ROWS_IN, Artifacts, measured
from components.schema import read_schema
from components.tasks import Feature, ModelSchema
from components.tasks.catalogue import Catalogue
from components.tasks.gallery_file import GALLERY_FILE, plain
from components.trainer._checks import SplitChecks
from components.trainer._config import TrainingConfig
from components.trainer._weights import class_weights
from components.trainer.late import load
from components.transform.labels import output_classes, read_positive
from spec.splits import EVAL, TRAIN

if TYPE_CHECKING:
    from components.trainer._input import Split


class Executor(base_executor.BaseExecutor):
    """Checks the transformed splits, fits, keeps the best weights, exports."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        import keras

        from components.trainer import _checkpoints, _decision, _devices, _drawn, _export, _fitting, _input, _sketches

        config = border.load(TrainingConfig, exec_properties["training"])
        devices = _devices.find(config)  # before anything else asks TensorFlow for one
        module = exec_properties["module_file"]
        examples = artifact_utils.get_single_uri(input_dict["transformed_examples"])
        graph = artifact_utils.get_single_uri(input_dict["transform_graph"])
        transform = tft.TFTransformOutput(graph)
        raw_schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        model_uri = pathlib.Path(artifact_utils.get_single_uri(output_dict["model"]))
        run_uri = pathlib.Path(artifact_utils.get_single_uri(output_dict["model_run"]))
        with measured(output_dict) as rows:
            keras.backend.clear_session()
            keras.utils.set_random_seed(config.seed)
            label = config.learnt_label
            digest = exec_properties["module_digest"]
            late = load(
                str(pathlib.Path(module).with_name("features.py")), transformed_features(transform, label), digest
            )
            positive = read_positive(graph)
            classes = tuple(output_classes(raw_schema, config.label, config.task_class, positive.name))
            task = config.task_class(classes, options=config.task_options)
            checks = {split: SplitChecks(split, task, label, config.label_scale) for split in (TRAIN, EVAL)}
            shape = tuple(transform.transformed_feature_spec()[label].shape) if label else ()
            train, evaluation = (_input.open_split(examples, s, late, c, label_shape=shape) for s, c in checks.items())
            rows[ROWS_IN] = train.rows + evaluation.rows
            seen = checks[TRAIN]
            schema = ModelSchema(
                late.features,
                config.task,
                config.label,
                classes,
                seen.label_mean,
                seen.label_std,
                config.label_scale,
                config.task_options,
                config.query,
            )
            schema = with_interactions(schema, train)
            linked = task.linked_features(schema)
            if linked and task.drawn_items:
                train.drawn = _drawn.DrawnItems.of(train, linked[1], task.drawn_items).draw
            devices = devices.that_share(config.batch_size, train=train.rows, eval=evaluation.rows)
            with devices.scope():
                model = _fitting.build(module, schema, config, train.rows, digest)
            key = _checkpoints.key(exec_properties["training"], digest, repr(schema), examples)
            checkpoints = _checkpoints.at(self._context and self._context.stateful_working_dir, key)
            weights = class_weights(config, classes, seen.class_counts)
            sketches = _sketches.Sketches(task, evaluation, config.epochs, devices.strategy)
            history = _fitting.fit(
                model, train, evaluation, config, run_uri / "tensorboard", devices, checkpoints, weights, sketches
            )
            if not devices.is_chief:
                return
            if not devices.are_plain:
                model = _fitting.rebuilt(model, module, schema, config, train.rows, digest)
            _fitting.freeze(model, module, digest)
            decision = _decision.on_eval(model, evaluation, config)
            items = [Catalogue.read(pathlib.Path(one.uri)) for one in input_dict.get("catalogue") or []]
            folder = model_uri / "Format-Serving"
            _export.export(model, transform, schema, folder, config.missing, decision.threshold, late, *items)
            history |= {"positive": dataclasses.asdict(positive), "decision": dataclasses.asdict(decision)}
            history["class_weights"] = None if weights is None else dict(zip(classes, weights.tolist(), strict=True))
            (run_uri / "history.json").write_text(json.dumps(history, indent=2))
            if sketches.drawn:
                (run_uri / GALLERY_FILE).write_text(json.dumps(plain([sketches.gallery()])))
        checkpoints.clear()


def with_interactions(schema: ModelSchema, train: Split) -> ModelSchema:
    """The schema with the pairs of the features that the task links."""
    if (linked := schema.kind.linked_features(schema)) is None:
        return schema
    query, item = linked
    parts = [
        np.stack([columns[query] if query else np.full(len(columns[item]), -1), columns[item]], axis=1)
        for columns in train.pools()
    ]
    return dataclasses.replace(schema, interactions=np.concatenate(parts))


def transformed_features(transform: tft.TFTransformOutput, label: str | None) -> dict[str, Feature]:
    """The features that Transform stores, sorted by name; one of lists has the shape (None,)."""
    schema = transform.transformed_metadata.schema
    ranges = {f.name: f.int_domain.max + 1 for f in schema.feature if f.HasField("int_domain")}
    features = {}
    for name, spec in sorted(transform.transformed_feature_spec().items()):
        if name != label:
            shape = (None,) if isinstance(spec, tf.io.VarLenFeature) else tuple(spec.shape)
            features[name] = Feature(name, spec.dtype.name, shape, ranges.get(name) if spec.dtype == tf.int64 else None)
    return features
