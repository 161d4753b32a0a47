from __future__ import annotations

import base64
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.tasks.generation import Generation
from components.tasks.multiclass import Multiclass
from components.trainer._sketches import Sketches, epochs_shown, gallery

TASK = Generation(options={"shape": (2, 3, 1)})


class Rows:
    """A split that counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def dataset(self, batch_size: int) -> tf.data.Dataset:
        self.reads += 1
        codes = np.linspace(0, 1, 40, dtype=np.float32)[:, np.newaxis]
        return tf.data.Dataset.from_tensor_slices(({"code": codes}, codes)).batch(batch_size)


def model_of(brightness: float) -> keras.Model:
    code = keras.Input((1,), name="code")
    dense = keras.layers.Dense(6, kernel_initializer=keras.initializers.Constant(brightness), use_bias=False)
    normed = keras.layers.BatchNormalization()(dense(code))
    return keras.Model({"code": code}, keras.layers.Reshape((2, 3, 1))(normed))


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 31, 40, 64, 1000])
def test_six_epochs_at_most_the_first_and_the_last_among_them(epochs: int) -> None:
    shown = epochs_shown(epochs)
    assert len(shown) <= 6 and shown[0] == 1 and shown[-1] == epochs
    assert all(2 * a <= b + 1 for a, b in itertools.pairwise(shown[:-1]))


def test_the_same_rows_are_drawn_each_time() -> None:
    rows = Rows()
    sketches = Sketches(TASK, rows, 4)  # type: ignore[arg-type]
    drawn = {}
    for epoch, brightness in enumerate((0.2, 0.4, 0.6, 1.0), start=1):
        drawn |= sketches.drawn(model_of(brightness), epoch, is_last=epoch == 4)
    assert list(drawn) == ["1", "2", "4"] and rows.reads == 1
    first, last = (tf.io.decode_png(base64.b64decode(drawn[one])).numpy() for one in ("1", "4"))
    assert first.shape == last.shape == (2, 24 * 4 - 1, 1)
    np.testing.assert_allclose(first[:, ::4] * 5.0, last[:, ::4], atol=4)  # each row's first column, five times as bright
    made = gallery(drawn)
    assert [tile.lines for tile in made.tiles] == [["After epoch 1"], ["After epoch 2"], ["After epoch 4"]]


def test_a_training_that_ends_early_is_drawn_where_it_ends() -> None:
    sketches = Sketches(TASK, Rows(), 100)  # type: ignore[arg-type]
    assert list(sketches.drawn(model_of(1), 5, is_last=True)) == ["5"] and not sketches.drawn(model_of(1), 5, is_last=False)


def test_a_task_that_draws_nothing_reads_nothing() -> None:
    rows = Rows()
    assert Sketches(Multiclass(["a", "b"]), rows, 3).drawn(model_of(1), 1, is_last=True) == {}  # type: ignore[arg-type]
    assert rows.reads == 0


def test_replicas_draw_what_one_device_draws() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = model_of(0.5)
    rows = Rows()
    alone = Sketches(TASK, rows, 1).drawn(model_of(0.5), 1, is_last=True)  # type: ignore[arg-type]
    assert Sketches(TASK, rows, 1, strategy).drawn(model, 1, is_last=True) == alone  # type: ignore[arg-type]
