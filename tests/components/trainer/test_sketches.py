from __future__ import annotations

import base64
import itertools
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.tasks.generation import Generation
from components.tasks.multiclass import Multiclass
from components.trainer._checkpoints import Checkpoints
from components.trainer._progress import Progress
from components.trainer._sketches import Sketches, epochs_shown

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


def drawn(sketches: Sketches, model: keras.Model, epoch: int, is_last: bool = True) -> list[str]:
    sketches.draw(model, epoch, is_last)
    return list(sketches.drawn)


def test_the_same_rows_are_drawn_each_time() -> None:
    rows = Rows()
    sketches = Sketches(TASK, rows, 4)  # type: ignore[arg-type]
    for epoch, brightness in enumerate((0.2, 0.4, 0.6, 1.0), start=1):
        shown = drawn(sketches, model_of(brightness), epoch, epoch == 4)
    assert shown == ["1", "2", "4"] and rows.reads == 1
    first, last = (tf.io.decode_png(base64.b64decode(sketches.drawn[one])).numpy() for one in ("1", "4"))
    assert first.shape == last.shape == (2, 24 * 4 - 1, 1)
    np.testing.assert_allclose(first[:, ::4] * 5.0, last[:, ::4], atol=4)  # five times as bright
    lines = [tile.lines for tile in sketches.gallery().tiles]
    assert lines == [["After epoch 1"], ["After epoch 2"], ["After epoch 4"]]


def test_a_training_that_ends_early_is_drawn_where_it_ends() -> None:
    early, going_on = (Sketches(TASK, Rows(), 100) for _ in range(2))  # type: ignore[arg-type]
    assert drawn(early, model_of(1), 5) == ["5"] and not drawn(going_on, model_of(1), 5, is_last=False)


def test_a_task_that_draws_nothing_reads_nothing() -> None:
    rows = Rows()
    assert not drawn(Sketches(Multiclass(["a", "b"]), rows, 3), model_of(1), 1) and rows.reads == 0  # type: ignore[arg-type]


def test_replicas_draw_what_one_device_draws() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        mirrored = model_of(0.5)
    one, shared = (Sketches(TASK, Rows(), 1, by) for by in (None, strategy))  # type: ignore[arg-type]
    drawn(one, model_of(0.5), 1)
    drawn(shared, mirrored, 1)
    assert one.drawn == shared.drawn


def test_what_was_drawn_before_a_training_was_killed_is_kept(tmp_path: pathlib.Path) -> None:
    model = model_of(1)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    kept, progress = Checkpoints(tmp_path, "key"), Progress()
    sketches = Sketches(TASK, Rows(), 4)  # type: ignore[arg-type]
    sketches.drawn = progress.drawn
    progress.add({"loss": 1.0, "val_loss": 1.0}, 1.0, model)
    drawn(sketches, model, 1)
    kept.save(model, progress)
    assert kept.restore(model).drawn == sketches.drawn != {}
