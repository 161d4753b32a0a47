"""One training, for whoever trains: the Trainer with the workload's settings, the Tuner with those of each trial."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_transform as tft

from components.positive import Positive
from components.schema import read_schema
from components.tasks import Feature, ModelSchema, Task
from components.trainer import _drawn, _fitting, _input, _privacy, _start, _teaching
from components.trainer._checkpoints import Checkpoints
from components.trainer._checks import SplitChecks
from components.trainer._config import TrainingConfig
from components.trainer._devices import Devices, find
from components.trainer._progress import Progress
from components.trainer._sketches import Sketches
from components.trainer._weights import class_weights
from components.trainer.late import Late, load
from components.trainer.sources import Sources
from components.transform.labels import output_classes, read_positive
from spec.errors import InputError
from spec.splits import EVAL, TRAIN

__all__ = ["Devices", "Material", "Progress", "find_devices", "seed", "train", "transformed_features"]

find_devices = find
"""Of a process that trains; to be called before TensorFlow does anything else in it."""


@dataclasses.dataclass(frozen=True)
class Material:
    """What models of one workload are trained on, whatever their hyper-parameters.

    Attributes:
        class_counts: rows of each class in train, [classes].
        origin: whose weights a model begins with; None: its own.
    """

    sources: Sources
    positive: Positive
    task: Task
    late: Late
    train: _input.Split
    evaluation: _input.Split
    schema: ModelSchema
    class_counts: npt.NDArray[np.int64]
    origin: _start.Origin | None = None

    @classmethod
    def open(cls, sources: Sources, config: TrainingConfig, scratch: pathlib.Path | None = None) -> Material:
        """Looks through train and eval, and asks the teacher about train.

        Args:
            scratch: an empty folder for what a teacher says; it has to stay while models are trained.

        Raises:
            InputError: a split has no rows, or cannot be learnt from; late_fn raises.
        """
        origin = _start.Origin.read(sources.origin)  # what is wrong with it is known before the data is read
        label = config.learnt_label
        features_file = pathlib.Path(sources.module_file).with_name("features.py")
        late = load(str(features_file), transformed_features(sources.transform, label), sources.module_digest)
        positive = read_positive(sources.transform_graph)
        raw_schema = read_schema(sources.schema)
        classes = tuple(output_classes(raw_schema, config.label, config.task_class, positive.name))
        task = config.task_class(classes, options=config.task_options)
        checks = {split: SplitChecks(split, task, label, config.label_scale) for split in (TRAIN, EVAL)}
        shape = tuple(sources.transform.transformed_feature_spec()[label].shape) if label else ()
        places = {TRAIN: sources.examples, EVAL: sources.examples}
        beside: tuple[Feature, ...] = ()
        if sources.teacher and scratch is not None:
            if late.changes_labels:
                raise InputError(
                    "training.teacher: late_label_fn changes labels, and the teacher's answers it does not. Remove one."
                )
            places[TRAIN], beside = str(scratch), (_teaching.write_taught(sources, config, task, late, scratch),)
        train, evaluation = (
            _input.open_split(
                places[split], split, late, one, label_shape=shape, beside=beside if split == TRAIN else ()
            )
            for split, one in checks.items()
        )
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
        schema = _with_interactions(schema, train)
        linked = task.linked_features(schema)
        train.by_chance = config.privacy is not None
        if linked and task.drawn_items:
            train.drawn = _drawn.DrawnItems.of(train, linked[1], task.drawn_items).draw
        return cls(sources, positive, task, late, train, evaluation, schema, seen.class_counts, origin)

    def build(self, config: TrainingConfig) -> tuple[keras.Model, dict[str, Any] | None]:
        """The compiled model of a configuration, untrained, and what history.json says of how it begins."""
        sources = self.sources
        record: dict[str, Any] = {}

        def begin(model: keras.Model) -> dict[str, float]:
            parts, found = _start.begin(model, config, self.origin)
            record.update(found)
            return parts

        teach = None
        if config.teacher:
            teach = functools.partial(
                _teaching.student, schema=self.schema, config=config, module_file=sources.module_file
            )
        model = _fitting.build(
            sources.module_file, self.schema, config, self.train.rows, sources.module_digest, begin, teach
        )
        return model, record if config.start_from or config.freeze or config.learning_rates else None

    def weights(self, config: TrainingConfig) -> npt.NDArray[np.float32] | None:
        """What a row counts in the loss, by its class; None where all count the same."""
        return class_weights(config, self.schema.classes, self.class_counts)


def seed(config: TrainingConfig) -> None:
    """Forgets the models before, and lets all that follows draw the same as in any other process."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)


def train(
    material: Material,
    config: TrainingConfig,
    devices: Devices,
    logs: pathlib.Path | None = None,
    checkpoints: Checkpoints | None = None,
    sketches: Sketches | None = None,
    after_epoch: Callable[[Progress], None] | None = None,
    prepare: Callable[[keras.Model], None] | None = None,
) -> tuple[keras.Model, dict[str, Any]]:
    """Builds and fits a model.

    Args:
        devices: of this process, that share batches of this size.
        logs: TensorBoard's folder; None: it is told nothing.
        checkpoints: where the state of each epoch is kept; None: nowhere.
        sketches: draws what the model makes after some epochs; None: nothing is drawn.
        after_epoch: told after each; what it raises ends the training.
        prepare: given the model before the first step.

    Returns:
        The model with the weights that `training.keep_weights` says, and what goes into history.json.

    Raises:
        InputError: build_model raises or does not fit the task, or the loss is no number.
    """
    if config.privacy:
        _privacy.check(config, material.train.rows)
    with devices.scope():
        model, start = material.build(config)
        if prepare:
            prepare(model)
    history = _fitting.fit(
        model,
        material.train,
        material.evaluation,
        config,
        logs,
        devices,
        checkpoints,
        material.weights(config),
        sketches,
        after_epoch,
    )
    history["start"] = start
    if isinstance(model, _teaching.Student):
        model = model.model
        history["teacher"] = _teaching.record(config, material.sources.teacher)
    if config.privacy:
        history["privacy"] = _privacy.spent(config, material.train.rows, len(history["epochs"]))
    return model, history


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


def _with_interactions(schema: ModelSchema, train: _input.Split) -> ModelSchema:
    """The schema with the pairs of the features that the task links."""
    if (linked := schema.kind.linked_features(schema)) is None:
        return schema
    query, item = linked
    parts = [
        np.stack([columns[query] if query else np.full(len(columns[item]), -1), columns[item]], axis=1)
        for columns in train.pools()
    ]
    return dataclasses.replace(schema, interactions=np.concatenate(parts))
