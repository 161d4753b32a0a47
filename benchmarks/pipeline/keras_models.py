"""Compiles a case's model for stock TFX's user code and the script, in the same way as Trainyard's Trainer."""

from __future__ import annotations

from typing import Any

import keras

from benchmarks.pipeline.case import Case
from components.trainer import Feature, ModelSchema


def compiled(case: Case, features: dict[str, Feature]) -> Any:
    """The case's model on these features."""
    schema = ModelSchema(features, case.task, case.label, tuple(map(str, case.classes)))
    model = case.build_model(schema, case.hyperparameters)
    optimizer, task = keras.optimizers.Adam(case.hyperparameters["learning_rate"]), schema.kind
    model.compile(optimizer, task.loss(schema), metrics=task.training_metrics())
    return model


def callbacks(case: Case) -> list[Any]:
    """Early stopping with the best weights, if the case has it."""
    if case.patience is None:
        return []
    return [keras.callbacks.EarlyStopping("val_loss", patience=case.patience, restore_best_weights=True)]
