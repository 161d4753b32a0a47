"""Training under differential privacy: what it spends, what it refuses, what a step does."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer import _privacy
from components.trainer._config import TrainingConfig
from spec.errors import InputError
from spec.workload import Privacy, Training

ROWS = 60_000


def config(epochs: int = 15, batch_size: int = 256, **privacy: Any) -> TrainingConfig:
    chosen = Privacy(**{"clip": 1.5, "noise": 1.3, "max_epsilon": 1.2, **privacy})
    return TrainingConfig(task="binary", label="y", epochs=epochs, batch_size=batch_size, privacy=chosen)


def test_epsilon_is_below_the_bound_that_is_published() -> None:
    # TensorFlow Privacy's tutorial has 1.18 for these settings, by Renyi divergences.
    from dp_accounting import rdp

    found = _privacy.spent(config(), ROWS, 15)
    assert found["steps"] == 15 * math.ceil(ROWS / 256)
    published = rdp.RdpAccountant()
    published.compose(_privacy._event(1.3, config(), ROWS, found["steps"]))
    assert 0.7 < found["epsilon"] < published.get_epsilon(1e-5) < 1.19


def test_one_step_of_all_rows_is_the_gaussian_mechanism() -> None:
    # Balle and Wang 2018, "Improving the Gaussian Mechanism for Differential Privacy", theorem 5.
    noise, delta = 2.0, 1e-5
    found = _privacy.epsilon(config(batch_size=1000, noise=noise, delta=delta), 1000, 1)
    normal = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))  # noqa: E731
    exact = normal(1 / (2 * noise) - found * noise) - math.exp(found) * normal(-1 / (2 * noise) - found * noise)
    assert exact == pytest.approx(delta, rel=0.02)


def test_a_budget_that_does_not_suffice_is_refused_with_the_noise_that_does() -> None:
    with pytest.raises(
        InputError, match=r"spend an epsilon of .* max_epsilon is 0\.5\. Set noise to ([\d.]+),"
    ) as refused:
        _privacy.check(config(max_epsilon=0.5), ROWS)
    enough = float(str(refused.value).partition("Set noise to ")[2].partition(",")[0])
    _privacy.check(config(max_epsilon=0.5, noise=enough), ROWS)
    with pytest.raises(InputError, match="delta must be below 1 over the rows"):
        _privacy.check(config(delta=0.001), ROWS)


def linear(rate: float = 1.0, **privacy: Any) -> keras.Model:
    inputs = keras.Input([2], name="x")
    model = keras.Model({"x": inputs}, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(inputs))
    model.compile(keras.optimizers.SGD(rate), "mse", metrics=["mae"])
    _privacy.private(model, config(batch_size=32, **privacy))
    return model


def test_a_step_follows_the_mean_of_shortened_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.array([[3.0, 4.0], [0.1, 0.0], [0.0, -1.0], [2.0, 0.0]], np.float32)
    y = np.array([[1.0], [1.0], [1.0], [-1.0]], np.float32)
    each = -2 * y * x  # of the squared error at weights of 0
    lengths = np.linalg.norm(each, axis=1, keepdims=True)
    wanted = -(each * np.minimum(1, 1.5 / lengths)).sum(axis=0) / 32
    for at_once in (1, 3, 100):  # rows whose gradients are in memory at a time: no matter
        monkeypatch.setattr(_privacy, "_BYTES_AT_ONCE", 4 * 2 * at_once)
        model = linear(noise=1e-9)
        history = model.fit({"x": x}, y, batch_size=4, epochs=1, verbose=0).history
        np.testing.assert_allclose(model.get_weights()[0][:, 0], wanted, rtol=1e-4, atol=1e-8)
        assert history["loss"] == [1.0] and history["mae"] == [1.0]


def test_the_noise_has_its_deviation_and_no_seed() -> None:
    def moves() -> np.ndarray:
        keras.utils.set_random_seed(1)
        model = linear(noise=2.0)
        weights = [model.get_weights()[0][:, 0]]
        tracker = keras.callbacks.LambdaCallback(
            on_batch_end=lambda batch, logs: weights.append(model.get_weights()[0][:, 0])
        )
        nothing = np.zeros((400, 2), np.float32)  # has no gradient at all
        model.fit({"x": nothing}, nothing[:, :1], batch_size=1, epochs=1, verbose=0, callbacks=[tracker])
        return np.diff(weights, axis=0)

    first, second = moves(), moves()
    assert first.std() == pytest.approx(2.0 * 1.5 / 32, rel=0.15)
    assert not np.allclose(first, second)


def test_what_mixes_rows_is_refused() -> None:
    inputs = keras.Input([2], name="x")
    mixed = keras.Model({"x": inputs}, keras.layers.Dense(1)(keras.layers.BatchNormalization(name="bn")(inputs)))
    with pytest.raises(InputError, match="'bn' is a BatchNormalization"):
        _privacy.private(mixed, config())

    class Own(keras.Model):
        def train_step(self, data: Any) -> Any:
            return {}

    with pytest.raises(InputError, match="Own has a train_step of its own"):
        _privacy.private(Own({"x": inputs}, keras.layers.Dense(1)(inputs)), config())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"distribution": "mirrored"}, "takes one device"),
        ({"mixed_precision": True}, "float32"),
        ({"batch_size": 31}, "at least 32"),
        (
            {"hyperparameters": {"a": 1}, "search": {"space": {"a": {"type": "int", "low": 1, "high": 2}}}},
            "every trial",
        ),
    ],
)
def test_settings_that_do_not_go_with_privacy(other: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Training.model_validate({"privacy": {"noise": 1.0, "max_epsilon": 2.0}, **other})


def test_embeddings_and_lists_of_rows_train_too() -> None:
    inputs = keras.Input([3], dtype="int64", name="x")
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(5, 4)(inputs)))
    model = keras.Model({"x": inputs}, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile("adam", "binary_crossentropy")
    _privacy.private(model, config())
    before = model.get_weights()
    rows = tf.data.Dataset.from_tensors(
        ({"x": np.ones((7, 3), np.int64)}, np.ones((7, 1), np.float32), np.ones(7, np.float32))
    )
    model.fit(rows, verbose=0)
    assert all(not np.allclose(one, other) for one, other in zip(before, model.get_weights(), strict=True))
