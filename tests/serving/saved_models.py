"""Small SavedModels that keep the signature contract of the trainer's export, made without training."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

import vector_index

INT_MISSING = -(2**63)

TAXI_FEATURES: dict[str, dict[str, Any]] = {
    "fare": {"dtype": "float32", "shape": [], "nullable": False},
    "miles": {"dtype": "float32", "shape": [], "nullable": True},
    "area": {"dtype": "int64", "shape": [], "nullable": True},
    "company": {"dtype": "string", "shape": [], "nullable": True, "na_values": ["NA", "None"]},
    "hour": {"dtype": "int64", "shape": [], "nullable": False},
}
DIGITS_FEATURES: dict[str, dict[str, Any]] = {"pixels": {"dtype": "float32", "shape": [64], "nullable": False}}


def _parsing(features: dict[str, dict[str, Any]]) -> dict[str, Any]:
    missing = {"float32": float("nan"), "int64": INT_MISSING, "string": ""}
    return {
        name: tf.io.FixedLenFeature(
            said["shape"], tf.as_dtype(said["dtype"]), missing[said["dtype"]] if said["nullable"] else None
        )
        for name, said in features.items()
    }


def _raw_specs(features: dict[str, dict[str, Any]]) -> dict[str, tf.TensorSpec]:
    return {name: tf.TensorSpec([None, *said["shape"]], said["dtype"], name=name) for name, said in features.items()}


def _save(
    model: tf.Module, folder: pathlib.Path, task: str, classes: list[str], features: dict[str, dict[str, Any]]
) -> pathlib.Path:
    parsing = _parsing(features)
    examples = tf.TensorSpec([None], tf.string, name="examples")
    inputs = tf.TensorSpec([None], tf.string, name="inputs")

    def serving_default(**raw: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.predict(raw)

    def serving_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.predict(tf.io.parse_example(examples, parsing))

    def scored(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.scored(tf.io.parse_example(inputs, parsing))

    signatures = {
        "serving_default": tf.function(serving_default).get_concrete_function(**_raw_specs(features)),
        "serving_examples": tf.function(serving_examples).get_concrete_function(examples),
        "regress" if task == "regression" else "classify": tf.function(scored).get_concrete_function(inputs),
    }
    if hasattr(model, "explain"):
        signatures["explain"] = tf.function(model.explain).get_concrete_function(**_raw_specs(features))
    tf.saved_model.save(model, str(folder), signatures)
    extra = folder / "assets.extra"
    extra.mkdir(exist_ok=True)
    said = {"task": task, "label": "y", "classes": classes, "features": features}
    (extra / "trainyard.json").write_text(json.dumps(said))
    return folder


class _Taxi(tf.Module):
    """probability = sigmoid(fare / 10 + bias), and what it saw of the nullable features."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.bias = tf.Variable(bias)
        self.table = tf.constant(["no", "yes"])

    def probability(self, raw: dict[str, tf.Tensor]) -> tf.Tensor:
        missing = tf.cast(tf.math.is_nan(raw["miles"]), tf.float32)
        missing += tf.cast(raw["area"] == INT_MISSING, tf.float32) + tf.cast(raw["company"] == "", tf.float32)
        return tf.sigmoid(raw["fare"] / 10.0 + self.bias + missing + 0.0 * tf.cast(raw["hour"], tf.float32))

    def predict(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        probability = self.probability(raw)
        return {"probability": probability, "label": tf.gather(self.table, tf.cast(probability > 0.5, tf.int32))}

    def scored(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        probability = self.probability(raw)
        scores = tf.stack([1 - probability, probability], axis=1)
        return {"scores": scores, "classes": tf.tile(self.table[tf.newaxis], [tf.shape(scores)[0], 1])}


class _Digits(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal([64, 10], seed=[1, 2]))
        self.table = tf.constant([str(n) for n in range(10)])

    def predict(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        probabilities = tf.nn.softmax(raw["pixels"] @ self.kernel)
        return {"probabilities": probabilities, "label": tf.gather(self.table, tf.argmax(probabilities, axis=1))}

    def scored(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        scores = self.predict(raw)["probabilities"]
        return {"scores": scores, "classes": tf.tile(self.table[tf.newaxis], [tf.shape(scores)[0], 1])}


class _House(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = tf.Variable(2.0)

    def predict(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"prediction": raw["area"] * self.slope}

    def scored(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"outputs": raw["area"] * self.slope}

    def explain(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        price = raw["area"] * self.slope
        return {"area_attribution": price - 100.0, "explained": price, "baseline_score": 100.0 + 0.0 * price}


class _Codec(tf.Module):
    """Not ours: two inputs of other shapes, binary output, no trainyard.json."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def reverse(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"image_bytes": tf.strings.join([image, b"\xff"]), "length": tf.strings.length(image)}

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.float32, name="x"), tf.TensorSpec([], tf.float32, name="by")]
    )
    def scale(self, x: tf.Tensor, by: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * by}


def save_taxi(folder: pathlib.Path, bias: float = 0.0) -> pathlib.Path:
    """Binary; a missing nullable feature raises the logit by 1 each."""
    return _save(_Taxi(bias), folder, "binary", ["no", "yes"], TAXI_FEATURES)


def save_digits(folder: pathlib.Path) -> pathlib.Path:
    """Multi-class over one vector feature."""
    return _save(_Digits(), folder, "multiclass", [str(n) for n in range(10)], DIGITS_FEATURES)


def save_house(folder: pathlib.Path) -> pathlib.Path:
    """Regression: twice the area."""
    features = {"area": {"dtype": "float32", "shape": [], "nullable": False}}
    return _save(_House(), folder, "regression", [], features)


def save_codec(folder: pathlib.Path) -> pathlib.Path:
    """A SavedModel from elsewhere."""
    model = _Codec()
    tf.saved_model.save(model, str(folder), {"serving_default": model.reverse, "scale": model.scale})
    return folder


class _Recommender(tf.Module):
    """Three items for each user, by name and by number, the best first."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="user")])
    def recommend(self, user: tf.Tensor) -> dict[str, tf.Tensor]:
        start = tf.strings.length(user)[:, tf.newaxis] + tf.constant([[0, 1, 2]])
        names = tf.strings.join(["item ", tf.strings.as_string(start)])
        scores = tf.constant([[0.9, 0.5, 0.1]]) + 0.0 * tf.cast(start, tf.float32)
        return {"items": names, "numbers": tf.cast(start, tf.int64), "scores": scores}


def save_recommender(folder: pathlib.Path) -> pathlib.Path:
    """Answers lists: texts, whole numbers and scores, [N, 3] each."""
    model = _Recommender()
    tf.saved_model.save(model, str(folder), {"serving_default": model.recommend})
    (folder / "assets.extra").mkdir(exist_ok=True)
    features = {"user": {"dtype": "string", "shape": [], "nullable": False}}
    (folder / "assets.extra" / "trainyard.json").write_text(json.dumps({"task": "retrieval", "features": features}))
    return folder


class _Vectors(tf.Module):
    """The items that are nearest to a user, [N, 3]; user 0 has had all but the last three. What `components` exports, in small."""

    def __init__(self, items: np.ndarray) -> None:
        super().__init__()
        self.items = tf.Variable(items)
        self.users = tf.Variable(items[::7])
        self.had = tf.constant([len(items) - 3, 0])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="user")])
    def query_embedding(self, user: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": tf.gather(self.users, user)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="user")])
    def serving_default(self, user: tf.Tensor) -> dict[str, tf.Tensor]:
        every = tf.tile(tf.range(len(self.items), dtype=tf.int64)[tf.newaxis], [tf.size(user), 1])
        found = self._best(user, tf.gather(self.users, user), every)
        return {name: found[name] for name in ("items", "scores")}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, name="user"),
            tf.TensorSpec([None, 8], tf.float32, name="embedding"),
            tf.TensorSpec([None, None], tf.int64, name="candidates"),
        ]
    )
    def rank_candidates(self, user: tf.Tensor, embedding: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._best(user, embedding, candidates)

    def _best(self, user: tf.Tensor, embedding: tf.Tensor, places: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = tf.einsum("nd,ncd->nc", embedding, tf.gather(self.items, places))
        had = tf.cast(tf.gather(self.had, tf.cast(user > 0, tf.int32)), tf.int64)
        scores, first = tf.math.top_k(tf.where(places < had[:, tf.newaxis], -1e9, scores), 3)
        names = tf.strings.as_string(tf.gather(places, first, batch_dims=1))
        complete = tf.reduce_all(scores > -1e9, axis=1)
        return {"items": tf.where(scores > -1e9, names, ""), "scores": scores, "complete": complete}


def save_indexed(folder: pathlib.Path) -> pathlib.Path:
    """Answers with the nearest of 280 items, of which the index knows those with an even number alone."""
    items = np.random.default_rng(0).normal(size=(280, 8)).astype(np.float32)
    model = _Vectors(items)
    signatures = {name: getattr(model, name) for name in ("serving_default", "query_embedding", "rank_candidates")}
    tf.saved_model.save(model, str(folder), signatures)
    hidden = np.arange(280) % 2
    vector_index.build(folder, np.where(hidden[:, np.newaxis], np.float32(0), items), 8, 16, 100, 50)
    features = {"user": {"dtype": "int64", "shape": [], "nullable": False}}
    (folder / "assets.extra" / "trainyard.json").write_text(json.dumps({"task": "retrieval", "features": features}))
    return folder


class _Failing(_Taxi):
    """Looks a word up in a table that was never filled: TensorFlow raises while it runs."""

    def predict(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.float32, shared_name="never filled")
        found = tf.raw_ops.LookupTableFindV2(table_handle=table, keys="word", default_value=0.0)
        return {"probability": raw["fare"] * found}


class _Slow(_Taxi):
    """Multiplies matrices for some seconds before it answers."""

    def __init__(self, seconds: float) -> None:
        super().__init__(0.0)
        self.seconds = tf.constant(seconds, tf.float64)

    def predict(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        began = tf.timestamp()
        waits = tf.reduce_max(raw["fare"]) > 0.0  # the warm-up asks with zeros
        matrix = tf.random.stateless_uniform([64, 64], [1, 2])
        _, done = tf.while_loop(
            lambda now, _: tf.logical_and(waits, now - began < self.seconds),
            lambda _, m: (tf.timestamp(), tf.linalg.normalize(m @ matrix)[0]),
            [tf.timestamp(), matrix],
        )
        answer = super().predict(raw)
        return {**answer, "probability": answer["probability"] + 0.0 * done[0, 0]}


def save_failing(folder: pathlib.Path) -> pathlib.Path:
    """Loads, and fails at every request."""
    return _save(_Failing(0.0), folder, "binary", ["no", "yes"], TAXI_FEATURES)


def save_slow(folder: pathlib.Path, seconds: float) -> pathlib.Path:
    """Answers as the taxi model does, after some seconds."""
    return _save(_Slow(seconds), folder, "binary", ["no", "yes"], TAXI_FEATURES)
