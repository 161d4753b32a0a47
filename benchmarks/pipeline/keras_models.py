"""Compiles a case's model for stock TFX's user code and the script, in the same way as Trainyard's Trainer."""

from __future__ import annotations

from typing import Any

import keras

from benchmarks.pipeline.case import Case
from components.trainer import Feature, ModelSchema

_LOSS = {"binary": "binary_crossentropy", "multiclass": "sparse_categorical_crossentropy"}


def compiled(case: Case, features: dict[str, Feature]) -> Any:
    """The case's model on these features."""
    schema = ModelSchema(features, case.task, case.label, tuple(map(str, case.classes)))
    model = case.build_model(schema, case.hyperparameters)
    metrics: list[Any] = ["accuracy"]
    if case.task == "binary":
        metrics.append(keras.metrics.AUC(name="auc"))
    model.compile(keras.optimizers.Adam(case.hyperparameters["learning_rate"]), _LOSS[case.task], metrics=metrics)
    return model


def callbacks(case: Case) -> list[Any]:
    """Early stopping with the best weights, if the case has it."""
    if case.patience is None:
        return []
    return [keras.callbacks.EarlyStopping("val_loss", patience=case.patience, restore_best_weights=True)]
