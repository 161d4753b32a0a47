from __future__ import annotations

import keras
import numpy as np
import pytest

from components.tasks import find
from components.trainer import Feature, ModelSchema, TrainingConfig
from components.trainer._teaching import TAUGHT, student
from spec.errors import InputError

TEACHER = {"release": "big@stable", "temperature": 4, "weight": 0.25}


def softened(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_loss_of_a_taught_model_is_that_of_hinton() -> None:
    schema = ModelSchema({"x": Feature("x", "float32", (3,))}, "multiclass", "y", ("a", "b", "c"))
    config = TrainingConfig(task="multiclass", label="y", teacher=TEACHER)
    inputs = schema.inputs()
    model = keras.Model(inputs, keras.layers.Softmax()(inputs["x"]))
    taught = student(model, schema, config, "model.py")
    taught.compile("sgd", schema.kind.loss(schema))
    logits = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], np.float32)
    labels, weights = np.array([1, 0]), np.array([1.0, 3.0], np.float32)
    teacher = np.array([[0.2, 0.7, 0.1], [0.05, 0.05, 0.9]], np.float32)

    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p, q = softened(teacher, 4), softened(said, 4)
    of_teacher = 4**2 * (p * np.log(p / q)).sum(axis=1)
    of_labels = -np.log(said[np.arange(2), labels])
    x = {"x": logits, TAUGHT: teacher}
    found = taught.compute_loss(x, labels, taught(x), weights)
    np.testing.assert_allclose(found, (weights * (0.75 * of_labels + 0.25 * of_teacher)).mean(), rtol=1e-4)
    # Early stopping and what eval says are of the labels alone.
    plain = taught.compute_loss({"x": logits}, labels, taught({"x": logits}), training=False)
    np.testing.assert_allclose(plain, of_labels.mean(), rtol=1e-5)
    assert [one.path for one in taught.weights] == [one.path for one in model.weights]


def test_what_a_teacher_says_is_in_the_order_of_the_students_classes() -> None:
    task = find("multiclass")(("a", "b", "c"))
    said = np.array([[0.1, 0.2, 0.7]], np.float32)
    np.testing.assert_allclose(task.taught(said, ("c", "a", "b")), [[0.2, 0.7, 0.1]])
    yes = find("binary")(("no", "yes")).taught(np.array([0.9], np.float32), ("yes", "no"))  # its positive class is `no`
    np.testing.assert_allclose(yes, [[0.9, 0.1]], rtol=1e-6)
    np.testing.assert_allclose(find("regression")().taught(np.array([3.0, 4.0]), ()), [[3.0], [4.0]])
    with pytest.raises(
        InputError, match=r"training.teacher: answers with the classes 'a', 'd'; the student's are 'a', 'b', 'c'"
    ):
        task.taught(said, ("a", "d"))


class StepsOfItsOwn(keras.Model):
    def train_step(self, data):
        return {"loss": 0.0}


def test_a_model_with_steps_of_its_own_knows_no_teacher() -> None:
    config = TrainingConfig(task="regression", label="y", teacher=TEACHER)
    schema = ModelSchema({}, "regression", "y")
    with pytest.raises(InputError, match=r"model.py: the model has a train_step of its own"):
        student(StepsOfItsOwn(), schema, config, "model.py")
