"""Members: the model answers with their mean, and each is trained by its own loss."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from components.tasks._members import MeanAnswer
from components.trainer import Feature, ModelSchema

ROWS, MEMBERS = 20, 5


@pytest.mark.parametrize(
    ("task", "width", "loss"),
    [
        ("binary", 1, keras.losses.BinaryCrossentropy(from_logits=True)),
        ("multiclass", 3, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        ("regression", 1, keras.losses.MeanSquaredError()),
    ],
)
def test_what_is_minimised_is_the_mean_of_the_members_losses(task: str, width: int, loss: Any) -> None:
    random = np.random.default_rng(1)
    answers = random.normal(size=(ROWS, MEMBERS, width)).astype(np.float32)
    labels = random.integers(0, max(2, width), (ROWS, 1)).astype(np.float32)
    layer = MeanAnswer(task)
    mean = layer(answers, training=True)
    np.testing.assert_allclose(mean, answers.mean(axis=1), rtol=1e-5, atol=1e-6)
    (added,) = layer.losses
    expected = np.mean([float(loss(labels, answers[:, member])) for member in range(MEMBERS)])
    assert float(loss(labels, mean)) + float(added) == pytest.approx(expected, rel=1e-5)


def test_the_mean_is_judged_as_it_answers() -> None:
    layer = MeanAnswer("binary")
    layer(np.ones((2, 3, 1), np.float32))
    assert layer.losses == []


@pytest.mark.parametrize(("task", "classes"), [("binary", "ab"), ("multiclass", "abc"), ("regression", "")])
def test_outputs_take_members_side_by_side(task: str, classes: str) -> None:
    schema = ModelSchema({"x": Feature("x", "float32", (4,))}, task, "y", tuple(classes), 10.0, 2.0)
    inputs = schema.inputs()
    hidden = keras.layers.RepeatVector(MEMBERS)(inputs["x"])
    model = keras.Model(inputs, schema.outputs(hidden))
    answers = np.asarray(model({"x": np.ones((6, 4), np.float32)}, training=False))
    assert answers.shape == (6, len(classes) if task == "multiclass" else 1)
    assert model.get_layer("output").output.shape == (None, answers.shape[1])
    if task == "multiclass":
        np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
