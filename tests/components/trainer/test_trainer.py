from __future__ import annotations

import keras
import numpy as np
import pytest

from components.errors import InputError
from components.trainer import Feature, ModelSchema, TrainingConfig
from components.trainer._export import input_names
from components.trainer._fitting import build, fit
from components.trainer._input import check_label

MODEL = """
import keras

def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Concatenate()([keras.ops.expand_dims(v, -1) for v in inputs.values()])
    return keras.Model(inputs, schema.outputs(x))
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return str(path)


def linear(rows: int, scale: float):
    random = np.random.default_rng(0)
    x = {"a b": random.normal(size=rows).astype("float32"), "c/d": random.normal(size=rows).astype("float32")}
    return x, ((x["a b"] - 2 * x["c/d"] + 5) * scale).astype("float32")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_regression_learns_whatever_the_labels_unit(module, tmp_path, scale: float) -> None:
    """A label [N] against an output [N, 1] once broadcast to [N, N], and nothing was learnt."""
    keras.utils.set_random_seed(1)
    x, y = linear(512, scale)
    features = {name: Feature(name, "float32") for name in x}
    schema = ModelSchema(features, "regression", "y", label_mean=float(y.mean()), label_std=float(y.std()))
    config = TrainingConfig("regression", "y", epochs=30, batch_size=32, hyperparameters={"learning_rate": 0.02})
    model = build(module, schema, config, len(y))
    fit(model, (x, y), (x, y), config, tmp_path / "logs")
    error = model.predict(x, verbose=0)[:, 0] - y
    assert 1 - error.var() / y.var() > 0.99


def test_a_diverged_training_says_so(module, tmp_path) -> None:
    x, y = linear(64, 1.0)
    schema = ModelSchema({name: Feature(name, "float32") for name in x}, "regression", "y", label_std=1e-30)
    config = TrainingConfig("regression", "y", epochs=2, hyperparameters={"learning_rate": 1e30})
    with pytest.raises(InputError, match="diverged"):
        fit(build(module, schema, config, 64), (x, y), (x, y), config, tmp_path / "logs")


def test_history_names_the_best_epoch(module, tmp_path) -> None:
    x, y = linear(64, 1.0)
    schema = ModelSchema({name: Feature(name, "float32") for name in x}, "regression", "y", label_std=1.0)
    config = TrainingConfig("regression", "y", epochs=3, early_stopping_patience=None)
    history = fit(build(module, schema, config, 64), (x, y), (x, y), config, tmp_path / "logs")
    assert history["epochs"] == [1, 2, 3]
    losses = history["history"]["val_loss"]
    assert history["best_epoch"] == losses.index(min(losses)) + 1
    assert any((tmp_path / "logs").rglob("events.out.tfevents*"))


@pytest.mark.parametrize(
    ("values", "task", "part"),
    [
        ([0, 1, -1], "binary", "row 3 of train"),
        ([1, 1, 1], "binary", "nothing to learn"),
        ([1.0, float("nan")], "regression", "row 2 of train"),
        ([1.0, 0.0, -2.0], "ranking", "row 3 of train: a relevance is 0 or more. Received: -2"),
    ],
)
def test_a_label_that_cannot_be_learnt_is_named(values, task: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        check_label(np.array(values), task, "y", ("no", "yes"), "train")


def test_input_names_are_identifiers_and_differ() -> None:
    names = input_names(["fare", "trip miles", "trip-miles", "trip_miles", "class", "2nd", "_x", "größe", "self"])
    assert names["fare"] == "fare" and names["trip_miles"] == "trip_miles"
    assert names["class"] == "column_class" and names["2nd"] == "column_2nd" and names["_x"] == "column_x"
    assert len(set(names.values())) == len(names)
    assert all(name.isidentifier() and name.isascii() for name in names.values())
