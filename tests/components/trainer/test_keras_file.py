from __future__ import annotations

import pathlib

import keras
import numpy as np
import pytest

from components.autoencoder import Autoencoder
from components.tasks.towers import Towers
from components.trainer._keras_file import write
from model_store import KERAS_FILE, ModelStore, ReleaseDraft

X = {"x": np.random.default_rng(1).normal(size=(4, 3)).astype("float32")}


def plain() -> keras.Model:
    x = keras.Input((3,), name="x")
    return keras.Model({"x": x}, keras.layers.Dense(2, activation="softmax")(x))


def halves() -> keras.Model:
    x, code = keras.Input((3,), name="x"), keras.Input((2,))
    back = keras.Model(code, keras.layers.Dense(3)(code))
    return Autoencoder(keras.Model({"x": x}, keras.layers.Dense(2)(x)), back)


def one_tower() -> keras.Model:
    x = keras.Input((3,), name="x")
    tower = keras.Model({"x": x}, keras.layers.Dense(2)(x))
    return Towers(tower, tower, similarity="cosine", temperature=0.5)


@pytest.mark.parametrize("make", [plain, halves, one_tower])
def test_what_is_loaded_answers_the_same_and_keeps_no_optimizer(tmp_path: pathlib.Path, make) -> None:
    model, path = make(), tmp_path / "assets.extra" / "model.keras"
    expected = np.asarray(model(X))
    model.compile("adam", "mse")
    model.train_on_batch(X, np.zeros_like(expected))
    expected = np.asarray(model(X))
    assert write(model, X, path) == "" and model.compiled and model.optimizer is not None
    loaded = keras.models.load_model(path)  # as a user does it
    np.testing.assert_allclose(loaded(X), expected, rtol=1e-5)
    assert not loaded.compiled
    if make is one_tower:
        assert loaded.item is loaded.query


def test_a_model_that_keras_cannot_load_is_said_and_not_kept(tmp_path: pathlib.Path) -> None:
    x = keras.Input((3,), name="x")
    model = keras.Model({"x": x}, keras.layers.Lambda(lambda values: values * 2)(x))
    assert "safe_mode" in write(
        model, X, tmp_path / "model.keras"
    )  # Python's code, which no reader of a release is to run
    assert not (tmp_path / "model.keras").exists()


def test_a_release_answers_for_the_file_and_a_server_does_without(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    assert write(plain(), X, folder / KERAS_FILE) == ""
    (folder / "saved_model.pb").write_bytes(b"a graph")
    store = ModelStore("memory://releases-with-keras")
    release = store.publish("tips", folder, ReleaseDraft(publication_key="1", task="binary"))
    assert release.files[KERAS_FILE]["bytes"] == (folder / KERAS_FILE).stat().st_size
    served = store.fetch("tips", 1, tmp_path / "cache", without=(KERAS_FILE,))
    assert (served / "saved_model.pb").exists() and not (served / KERAS_FILE).exists()
    whole = store.fetch("tips", 1, tmp_path / "cache")
    assert (whole / KERAS_FILE).read_bytes() == (folder / KERAS_FILE).read_bytes()
    assert store.fetch("tips", 1, tmp_path / "cache", without=(KERAS_FILE,)) == whole  # nothing is copied anew
