"""The flowers workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components import assets, user_code


@pytest.fixture(scope="module")
def flowers(case: Callable[[str], Any]) -> Any:
    found = case("flowers")
    if not all(assets.location(one).is_file() for one in found.workload.assets.values()):
        pytest.skip("SqueezeNet's weights are not in the dataset cache")
    return found


@pytest.fixture(scope="module")
def rows(flowers: Any) -> pa.Table:
    return flowers.rows()


def test_the_data_keeps_its_contracts(flowers: Any, rows: pa.Table) -> None:
    assert flowers.anomalies(rows) == {}
    assert flowers.failed_expectations(rows) == []
    assert rows.column_names == ["image", "label"] and rows.num_rows == 960


def test_photos_are_cut_and_mirrored_for_training_alone(flowers: Any, rows: pa.Table) -> None:
    import tensorflow as tf

    late_fn = user_code.load_function(str(flowers.folder / "features.py"), "late_fn")
    photo = tf.constant([rows["image"][0].as_py()] * 8)
    made = [late_fn({"image": photo}, training, tf.constant([1, 2]))["image"].numpy() for training in (False, True)]
    assert made[0].shape == made[1].shape == (8, 224, 224, 3)
    assert made[0].min() >= 0 and 100 < made[0].max() <= 255.5
    assert len({one.tobytes() for one in made[0]}) == 1 and len({one.tobytes() for one in made[1]}) == 8


def test_only_the_last_layers_learn_and_the_weights_know_flowers(flowers: Any, rows: pa.Table) -> None:
    """Of three kinds, 12 photos each: what SqueezeNet sees of a photo is nearest to what it sees of its own kind."""
    labels = np.array(rows["label"].to_pylist())
    kinds = ("iris", "sunflower", "bluebell")
    chosen = np.concatenate([np.flatnonzero(labels == kind)[:12] for kind in kinds])
    schema, features = flowers.vectors(rows.take(pa.array(chosen)))
    with assets.given(flowers.workload.assets):
        build = user_code.load_function(str(flowers.folder / "model.py"), "build_model")
        model = build(schema, flowers.workload.training.hyperparameters)
    learning = {layer.name for layer in model.layers if layer.trainable_weights and "fire" in layer.name}
    assert {name.partition("_")[0] for name in learning} == {"fire6", "fire7", "fire8", "fire9"}

    import keras

    pooled = next(layer for layer in model.layers if "pooling" in layer.name and "global" in layer.name)
    seen = np.asarray(keras.Model(model.input, pooled.output)(features))
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    alike = seen @ seen.T
    np.fill_diagonal(alike, -1)
    assert (labels[chosen][alike.argmax(axis=1)] == labels[chosen]).mean() > 0.8
