from __future__ import annotations

import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.served_model import SERVING_FOLDER, ServedModel
from components.trainer import Feature, ModelSchema, TrainingConfig
from components.trainer._fitting import build
from components.trainer._start import Origin, begin
from model_store import RELEASE_FILE
from spec.errors import InputError

RELEASE = {"model": "tips", "version": 3, "digest": "d1"}


def network(words: int = 5, last: str = "head") -> keras.Model:
    ids, x = keras.Input((2,), name="ids", dtype="int64"), keras.Input((3,), name="x")
    parts = [keras.layers.Flatten()(keras.layers.Embedding(words, 4, name="words")(ids)), x]
    y = keras.layers.Dense(6, name="body")(keras.layers.Concatenate()(parts))
    y = keras.layers.BatchNormalization(name="norm")(y)
    return keras.Model({"ids": ids, "x": x}, keras.layers.Dense(1, name=last)(y))


def config(**fields: Any) -> TrainingConfig:
    return TrainingConfig(task="regression", label="y", start_from="tips@3", **fields)


@pytest.fixture
def origin() -> tuple[keras.Model, Origin]:
    """A model and what its release holds."""
    model = network(last="old_head")
    layers: dict[str, list[tuple[str, Any]]] = {}
    for one in model.weights:
        one.assign(np.random.default_rng(len(layers)).normal(size=one.shape) + 1)
        layers.setdefault(one.path.rpartition("/")[0], []).append((one.name, one.numpy()))
    return model, Origin(RELEASE, layers)


def test_layers_of_equal_name_and_shapes_are_taken_and_the_others_begin_anew(origin) -> None:
    old, release = origin
    model = network(words=7)
    fresh = model.get_layer("words").embeddings.numpy()
    parts, record = begin(model, config(), release)
    assert parts == {} and record["taken"] == ["body", "norm"] and record["unused"] == ["old_head"]
    assert record["anew"] == {
        "words": "embeddings is [7, 4], in the release [5, 4]",
        "head": "the release has no such layer",
    }
    assert record["words"] == (
        "Started from tips@3: taken body, norm. Begun anew: words (embeddings is [7, 4], in the release [5, 4]), head (the release "
        "has no such layer). Not used: old_head."
    )
    for name in ("body", "norm"):
        for mine, theirs in zip(model.get_layer(name).weights, old.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(model.get_layer("words").embeddings, fresh)


def test_what_is_frozen_is_the_same_after_a_training(origin) -> None:
    model = network(words=7)
    # `words` begins anew, so that it learns all the same.
    _, record = begin(model, config(freeze=["body", "norm", "words"]), origin[1])
    assert record["frozen"] == ["body", "norm"]
    before = {one.path: one.numpy() for one in model.weights}
    model.compile("adam", "mse")
    x = {"ids": np.arange(32).reshape(16, 2) % 7, "x": np.random.default_rng(1).normal(size=(16, 3)).astype("float32")}
    model.fit(x, np.ones(16), epochs=2, verbose=0)
    changed = {path.partition("/")[0] for path, value in before.items() if not np.array_equal(value, _of(model, path))}
    assert changed == {"words", "head"}


def _of(model: keras.Model, path: str) -> Any:
    return next(one for one in model.weights if one.path == path).numpy()


MODEL = """
import keras

def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Reshape((1,))(inputs["x"])
    for name in ("encoder_1", "encoder_2", "head"):
        x = keras.layers.Dense(1, kernel_initializer="ones", name=name)(x)
    model = keras.Model(inputs, x)
    {compile}
    return model
"""


def test_a_layer_learns_at_its_part_of_the_learning_rate(tmp_path: pathlib.Path) -> None:
    """The first step of Adam is the learning rate, whatever the gradient."""
    module = tmp_path / "model.py"
    module.write_text(MODEL.format(compile=""))
    rates = {"encoder": 0.1, "encoder_2": 0.5}
    asked = TrainingConfig(
        task="regression", label="y", learning_rates=rates, hyperparameters={"learning_rate": 0.01}, freeze=[]
    )
    schema = ModelSchema({"x": Feature("x", "float32")}, "regression", "y")

    def first(model: keras.Model) -> dict[str, float]:
        return begin(model, asked, None)[0]

    model = build(str(module), schema, asked, 4, begin=first)
    before = model.get_weights()[::2]
    model.train_on_batch({"x": np.ones(4, "float32")}, np.zeros(4))
    steps = [float((old - new)[0, 0]) for old, new in zip(before, model.get_weights()[::2], strict=True)]
    assert steps == pytest.approx([0.001, 0.005, 0.01], rel=1e-3)

    module.write_text(MODEL.format(compile="model.compile('sgd', 'mse')"))
    with pytest.raises(InputError, match="build_model compiles the model itself"):
        build(str(module), schema, asked, 4, begin=first)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"freeze": ["encoder"]},
            r"training.freeze: no layer .* begins with 'encoder'\. Layers with weights: words, body",
        ),
        ({"learning_rates": {"b0dy": 0.1}}, r"training.learning_rates: no layer .* 'b0dy'"),
        ({"freeze": ["w", "b", "n", "o"]}, "training.freeze: no layer is left to learn"),
    ],
)
def test_wrong_names_are_said_in_one_line(origin, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        begin(network(last="old_head"), config(**fields), origin[1])


def test_a_release_that_has_nothing_in_common_is_refused(origin) -> None:
    x = keras.Input((3,))
    with pytest.raises(
        InputError, match=r"tips@3 has no layer in common .* It has words, body, norm and 1 more; the model other"
    ):
        begin(keras.Model(x, keras.layers.Dense(2, name="other")(x)), config(), origin[1])


def test_the_first_training_has_no_champion_to_start_from(tmp_path: pathlib.Path) -> None:
    assert Origin.read(str(tmp_path)) is None and Origin.read("") is None
    asked = TrainingConfig(task="regression", label="y", start_from="champion", freeze=["body"])
    model = network()
    _, record = begin(model, asked, None)
    assert record["frozen"] == [] and all(layer.trainable for layer in model.layers)
    assert record["words"] == "There was no champion to start from, so training began anew."


def test_the_weights_of_a_saved_model_are_found_by_name(tmp_path: pathlib.Path) -> None:
    model, module = network(), tf.Module()
    module._variables = [one.value for one in model.weights]
    tf.saved_model.save(module, str(tmp_path / SERVING_FOLDER))
    (tmp_path / RELEASE_FILE).write_text(json.dumps({**RELEASE, "task": "regression"}))

    def written(*weights: str) -> None:
        ServedModel("regression", "y", (), {}, weights=weights).write(tmp_path / SERVING_FOLDER)

    written(*(one.path for one in model.weights))
    origin = Origin.read(str(tmp_path))
    assert origin and origin.release == RELEASE
    assert {name: [part for part, _ in weights] for name, weights in origin.layers.items()}["body"] == [
        "kernel",
        "bias",
    ]
    np.testing.assert_array_equal(origin.layers["body"][0][1], model.get_layer("body").kernel)
    written()
    with pytest.raises(InputError, match="tips@3 was made by an earlier Trainyard"):
        Origin.read(str(tmp_path))
