"""The cifar10 workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components import user_code


@pytest.fixture(scope="module")
def cifar10(case: Callable[[str], Any]) -> Any:
    return case("cifar10")


@pytest.fixture(scope="module")
def rows(cifar10: Any) -> pa.Table:
    return cifar10.rows().slice(0, 1500)


def test_the_data_keeps_its_contracts(cifar10: Any, rows: pa.Table) -> None:
    assert cifar10.anomalies(rows) == {}
    assert cifar10.failed_expectations(rows) == []


def test_pictures_are_moved_and_mirrored_for_training_alone(cifar10: Any, rows: pa.Table) -> None:
    import tensorflow as tf

    late_fn = user_code.load_function(str(cifar10.folder / "features.py"), "late_fn")
    pictures = tf.constant([rows["image"][0].as_py()] * 64)
    still, moved = (
        late_fn({"image": pictures}, training, tf.constant([1, 2]))["image"].numpy() for training in (False, True)
    )
    assert still.shape == moved.shape == (64, 32, 32, 3) and still.min() >= -1 and still.max() <= 1
    assert len({one.tobytes() for one in still}) == 1 and len({one.tobytes() for one in moved}) > 40
    inner = {one[4:-4, 4:-4].tobytes() for one in (still[0], still[0, :, ::-1])}
    windows = {
        one[4 + y : 28 + y, 4 + x : 28 + x].tobytes() for one in moved for y in range(-4, 5) for x in range(-4, 5)
    }
    assert inner <= windows, "somewhere in a moved picture is the middle of the picture, and of its mirror image"


@pytest.mark.parametrize(("width", "depth", "weights"), [(8, 1, 31_000), (16, 1, 124_000), (8, 3, 81_000)])
def test_the_network_grows_with_width_and_depth(cifar10: Any, width: int, depth: int, weights: int) -> None:
    import keras

    network = user_code.load_function(str(cifar10.folder / "model.py"), "network")
    pictures = keras.Input((32, 32, 3))
    model = keras.Model(pictures, network(pictures, width, depth))
    assert model.output_shape == (None, 4 * width)
    assert model.count_params() == pytest.approx(weights, rel=0.03)


def test_the_model_learns_from_a_few_pictures(cifar10: Any, rows: pa.Table) -> None:
    schema, features = cifar10.vectors(rows)
    labels = np.array([schema.classes.index(one) for one in rows["label"].to_pylist()])
    model = cifar10.fit(schema, {"image": features["image"][:1200]}, labels[:1200], epochs=6)
    answers = model.predict({"image": features["image"][1200:]}, verbose=0)
    assert (answers.argmax(axis=1) == labels[1200:]).mean() > 0.25, "chance is 0.1"
