"""Releases of each family of models: the answers are the tasks' own, the networks are a line or two and not trained."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import tensorflow as tf

from components.tasks import find

Answers = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]
COLOURS = ["blue", "green", "red"]
TOPICS = ["art", "food", "sport"]


def save(folder: pathlib.Path, family: str) -> pathlib.Path:
    """Writes the release's SavedModel, and what a client needs to know about it."""
    task, features, answers = _FAMILIES[family]()
    specs = {name: tf.TensorSpec([None], dtype, name=name) for name, dtype in features.items()}
    call = tf.function(lambda **given: answers(given)).get_concrete_function(**specs)
    tf.saved_model.save(tf.Module(), str(folder), {"serving_default": call})
    described = {name: {"dtype": dtype, "shape": [], "nullable": False} for name, dtype in features.items()}
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / "trainyard.json").write_text(json.dumps({"task": task, "features": described}))
    return folder


Family = tuple[str, dict[str, str], Answers]


def _image() -> Family:
    """Which colour a picture has most of."""
    task = find("multiclass")(COLOURS)

    def shares(image: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(tf.io.decode_image(image, channels=3, expand_animations=False), tf.float32)
        return tf.nn.softmax(tf.reduce_mean(pixels, axis=[0, 1])[::-1] / 10)

    def answers(given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return task.answers(tf.map_fn(shares, given["image"], fn_output_signature=tf.float32), {}, None)

    return "multiclass", {"image": "string"}, answers


def _text() -> Family:
    """Whether a text speaks of a prize."""
    task = find("binary")(["ham", "spam"])

    def answers(given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        speaks = tf.strings.regex_full_match(given["body"], "(?s).*prize.*")
        return task.answers(tf.where(speaks, 0.75, 0.25)[:, tf.newaxis], {}, None)

    return "binary", {"body": "string"}, answers


def _multilabel() -> Family:
    """Art for five characters and more, sport for three, food never."""
    task = find("multilabel")(TOPICS)

    def answers(given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        length = tf.cast(tf.strings.length(given["body"]), tf.float32)
        output = tf.stack([tf.minimum(length / 8, 1.0), 0.0 * length, tf.minimum(length / 4, 1.0)], axis=1)
        return task.answers(output, {}, None)

    return "multilabel", {"body": "string"}, answers


def _retrieval() -> Family:
    """Items of falling scores; ann has had the first one. (The search itself needs more than this environment has.)"""

    def answers(given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        first = tf.cast(given["user"] == "ann", tf.int32)
        places = first[:, tf.newaxis] + tf.range(3)[tf.newaxis]
        scores = tf.gather([0.75, 0.5, 0.25, tf.float32.min], places)
        return {"items": tf.gather(["a", "b", "c", ""], places), "scores": scores}

    return "retrieval", {"user": "string"}, answers


def _generation() -> Family:
    """A picture of noise for a seed."""
    task = find("generation")(options={"shape": [4, 4, 1]})

    def drawn(seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform([4, 4, 1], tf.stack([seed, 0]))

    def answers(given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return task.answers(tf.map_fn(drawn, given["seed"], fn_output_signature=tf.float32), {}, None)

    return "generation", {"seed": "int64"}, answers


_FAMILIES: dict[str, Callable[[], Family]] = {
    "image": _image,
    "text": _text,
    "multilabel": _multilabel,
    "retrieval": _retrieval,
    "generation": _generation,
}
NAMES = tuple(_FAMILIES)
