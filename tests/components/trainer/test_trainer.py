from __future__ import annotations

import contextlib

import keras
import numpy as np
import pytest

from components.tasks import find
from components.trainer import Feature, ModelSchema, TrainingConfig
from components.trainer._checks import SplitChecks
from components.trainer._export import input_names
from components.trainer._fitting import build, fit, freeze
from components.trainer._input import Split, open_split
from spec.errors import InputError


def linear(rows: int, scale: float):
    random = np.random.default_rng(0)
    x = {"a b": random.normal(size=rows).astype("float32"), "c/d": random.normal(size=rows).astype("float32")}
    return x, ((x["a b"] - 2 * x["c/d"] + 5) * scale).astype("float32")


@pytest.fixture
def split(write_split):
    """Opens arrays as a split of a regression."""

    def opened(x, y, pool_bytes: int = 2**30) -> Split:
        features = [Feature(name, "float32") for name in x]
        checks = SplitChecks("train", find("regression")(), "y")
        return open_split(write_split({**x, "y": y}), "train", features, checks, pool_bytes)

    return opened


@pytest.mark.parametrize(
    ("scale", "pool_bytes"),
    [
        (1e-3, 2**30),
        pytest.param(1.0, 2**30, marks=pytest.mark.slow),
        pytest.param(1e6, 2**30, marks=pytest.mark.slow),
        (1.0, 2_000),
    ],
)
def test_regression_learns_whatever_the_labels_unit(module, tmp_path, split, scale: float, pool_bytes: int) -> None:
    """A label [N] against an output [N, 1] once broadcast to [N, N], and nothing was learnt."""
    keras.utils.set_random_seed(1)
    x, y = linear(512, scale)
    features = {name: Feature(name, "float32") for name in x}
    schema = ModelSchema(features, "regression", "y", label_mean=float(y.mean()), label_std=float(y.std()))
    config = TrainingConfig(
        task="regression", label="y", epochs=30, batch_size=32, hyperparameters={"learning_rate": 0.02}
    )
    model = build(module, schema, config, len(y))
    data = split(x, y, pool_bytes)
    fit(model, data, data, config, tmp_path / "logs")
    error = model.predict(x, verbose=0)[:, 0] - y
    assert 1 - error.var() / y.var() > 0.99


def test_a_label_on_a_log_scale_is_answered_in_its_own_unit(module, tmp_path, split) -> None:
    keras.utils.set_random_seed(1)
    x, y = linear(512, 0.5)
    y = np.expm1(np.maximum(y, 0) + 3).astype("float32")  # 19 to 3,000
    checks = SplitChecks("train", find("regression")(), "y", "log")
    checks.add({"y": y})
    features = {name: Feature(name, "float32") for name in x}
    mean, deviation = checks.label_mean, checks.label_std
    assert (mean, deviation) == pytest.approx((np.log1p(y).mean(), np.log1p(y).std()), rel=1e-6)
    schema = ModelSchema(features, "regression", "y", (), mean, deviation, "log")
    config = TrainingConfig(
        task="regression", label="y", epochs=30, batch_size=32, hyperparameters={"learning_rate": 0.02}
    )
    model = build(module, schema, config, len(y))
    fit(model, split(x, y), split(x, y), config, tmp_path / "logs")
    found = model.predict(x, verbose=0)[:, 0]
    assert np.median(np.abs(found / y - 1)) < 0.1 and found.min() >= 0
    assert model.predict({name: values * 100 for name, values in x.items()}, verbose=0).min() >= 0
    with pytest.raises(InputError, match="row 512 of train"):
        checks.add({"y": np.array([-2.0], "float32")})


def test_a_diverged_training_says_so(module, tmp_path, split) -> None:
    x, y = linear(64, 1.0)
    schema = ModelSchema({name: Feature(name, "float32") for name in x}, "regression", "y", label_std=1e-30)
    config = TrainingConfig(task="regression", label="y", epochs=2, hyperparameters={"learning_rate": 1e30})
    with pytest.raises(InputError, match="diverged"):
        fit(build(module, schema, config, 64), split(x, y), split(x, y), config, tmp_path / "logs")


class StepsOfItsOwn(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(keras.ops.stack([*x.values()], axis=1))

    def train_step(self, data):
        return self.test_step(data)

    def test_step(self, data):
        x, y = data
        return {"loss": keras.ops.mean((self(x)[:, 0] - y) ** 2)}


def test_steps_whose_loss_keras_does_not_show_are_refused(tmp_path, split) -> None:
    x, y = linear(64, 1.0)
    model = StepsOfItsOwn()
    model.compile()
    config = TrainingConfig(task="regression", label="y", epochs=2)
    with pytest.raises(InputError, match="return another value"):
        fit(model, split(x, y), split(x, y), config, tmp_path / "logs")


def test_history_names_the_best_epoch(module, tmp_path, split) -> None:
    x, y = linear(64, 1.0)
    schema = ModelSchema({name: Feature(name, "float32") for name in x}, "regression", "y", label_std=1.0)
    config = TrainingConfig(task="regression", label="y", epochs=3, early_stopping_patience=None)
    history = fit(build(module, schema, config, 64), split(x, y), split(x, y), config, tmp_path / "logs")
    assert history["epochs"] == [1, 2, 3]
    losses = history["history"]["val_loss"]
    assert history["best_epoch"] == losses.index(min(losses)) + 1
    assert any((tmp_path / "logs").rglob("events.out.tfevents*"))


def test_the_last_weights_are_kept_where_the_eval_loss_means_nothing(module, tmp_path, split) -> None:
    x, y = linear(64, 1.0)
    schema = ModelSchema({name: Feature(name, "float32") for name in x}, "regression", "y", label_std=1.0)

    def trained(**changes):
        keras.utils.set_random_seed(1)
        # So fast that the loss goes up again and again, and training would stop.
        rate = {"learning_rate": 30.0}
        config = TrainingConfig(
            task="regression", label="y", epochs=4, early_stopping_patience=1, hyperparameters=rate, **changes
        )
        model = build(module, schema, config, 64)
        history = fit(model, split(x, y), split(x, y), config, tmp_path / "logs")
        return model, history

    model, history = trained(keep_weights="last")
    losses = history["history"]["val_loss"]
    assert history["best_epoch"] == len(losses) == 4 and min(losses) < losses[-1]
    assert model.evaluate(split(x, y).dataset(64), verbose=0)[0] == pytest.approx(losses[-1], rel=1e-4)
    assert trained()[1]["best_epoch"] < 4


class Averaged(keras.layers.Layer):
    """Knows after freezing what it would compute anew each time."""

    def build(self, shape) -> None:
        self.table = self.add_weight(shape=(8,), name="table")
        self.mean = self.add_weight(shape=(), trainable=False, name="mean")
        self.frozen = False

    def call(self, x):
        return x + (self.mean if self.frozen else keras.ops.mean(self.table))

    def freeze(self) -> None:
        self.mean.assign(keras.ops.mean(self.table))
        self.frozen = True


def test_what_can_freeze_is_frozen(tmp_path) -> None:
    inner = keras.Sequential([keras.layers.Dense(1), Averaged()])
    x = keras.Input((2,))
    model = keras.Model(x, inner(x))
    rows = np.ones((3, 2), "float32")
    before = model(rows)
    freeze(model, str(tmp_path / "model.py"))
    inner.layers[1].table.assign(np.full(8, 9, "float32"))
    np.testing.assert_allclose(model(rows), before, rtol=1e-6)


FREE = """
import keras

def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Dense(6)(keras.layers.Reshape((1,))(inputs["half"]))
    return keras.Model(inputs, keras.layers.Reshape(({width},))(x))
"""
OPEN = "tests.components.tasks.made_up.AnyWidth"


def test_an_output_of_any_width(module, tmp_path) -> None:
    schema = ModelSchema({"half": Feature("half", "float32")}, OPEN, None)
    config = TrainingConfig(task=OPEN)
    for width, found in (("6", None), ("2, 3", r"needs an output of shape \[N, any\]\. Received: \[N, 2, 3\]")):
        path = tmp_path / f"free_{len(width)}.py"
        path.write_text(FREE.format(width=width))
        with pytest.raises(InputError, match=found) if found else contextlib.nullcontext():
            assert build(str(path), schema, config, 8).output_shape == (None, 6)
    with pytest.raises(InputError, match="takes an output of any width"):
        build(module, schema, config, 8)


WIDE = """
import keras

def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    return keras.Model(inputs, keras.layers.Dense(3)(keras.ops.expand_dims(inputs["half"], -1)))
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def build_model(schema, hyperparameters):\n    return 1 / 0\n", r"model\.py, line 2.*ZeroDivisionError"),
        ("def build_model(schema, hyperparameters)\n", r"model\.py, line 1.*SyntaxError"),
        ("import nosuchmodule\n", r"model\.py, line 1.*nosuchmodule"),
        ("def build(schema):\n    pass\n", "has no function 'build_model'"),
        ("def build_model(schema, hyperparameters):\n    return 3\n", r"must return a keras\.Model.*int"),
        (WIDE, r"output of shape \[N, 1\].*\[N, 3\]"),
    ],
)
def test_a_model_that_cannot_be_built_says_what_is_wrong_with_it(tmp_path, code: str, said: str) -> None:
    path = tmp_path / "model.py"
    path.write_text(code)
    schema = ModelSchema({"half": Feature("half", "float32")}, "binary", "y", ("0", "1"))
    with pytest.raises(InputError, match=said) as caught:
        build(str(path), schema, TrainingConfig(task="binary", label="y"), 8)
    assert "\n" not in str(caught.value)


def test_the_same_seed_gives_the_same_model(module, tmp_path, split) -> None:
    x, y = linear(512, 1.0)
    schema = ModelSchema({name: Feature(name, "float32") for name in x}, "regression", "y", label_std=1.0)
    config = TrainingConfig(task="regression", label="y", epochs=2, batch_size=32)

    def weights(shuffle_seed: int) -> list[float]:
        keras.utils.set_random_seed(1)
        model = build(module, schema, config, len(y))
        data = split(x, y)
        fit(model, data, data, config.model_copy(update={"seed": shuffle_seed}), tmp_path / "logs")
        return np.concatenate([w.ravel() for w in model.get_weights()]).tolist()

    first = weights(1)
    assert first == weights(1)
    assert first != weights(2)


def test_input_names_are_identifiers_and_differ() -> None:
    names = input_names(["fare", "trip miles", "trip-miles", "trip_miles", "class", "2nd", "_x", "größe", "self"])
    assert names["fare"] == "fare" and names["trip_miles"] == "trip_miles"
    assert names["class"] == "column_class" and names["2nd"] == "column_2nd" and names["_x"] == "column_x"
    assert len(set(names.values())) == len(names)
    assert all(name.isidentifier() and name.isascii() for name in names.values())


def test_input_names_differ_in_more_than_case_and_keep_what_can_be_kept() -> None:
    names = input_names(["amount", "Amount", "AMOUNT", "class", "column_class", "a b", "a_b"])
    assert names["column_class"] == "column_class" and names["a_b"] == "a_b"
    assert len({name.lower() for name in names.values()}) == len(names)
    assert names["AMOUNT"] == "AMOUNT"
