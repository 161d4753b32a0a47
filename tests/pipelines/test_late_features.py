"""Pictures and words through the whole pipeline: kept as they came until a model learns from them, and served by the same code."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.columnar import read_split
from pipelines.run import Display, RunRequest, run
from spec import home
from spec.splits import TRAIN

WORKLOAD = """
name: postcards
task: binary
data:
  uri: "{DATA}/{WORKLOAD}/span-{SPAN}/*"
  format: parquet
  label: {column: sunny}
training: {epochs: 6, batch_size: 32, hyperparameters: {learning_rate: 0.01}}
evaluation: {thresholds: [{metric: auc, min: 0.7}]}
infra_validation: {requests: 4}
"""
SCHEMA = """
feature { name: "picture" type: BYTES presence { min_fraction: 1.0 } shape {} image_domain {} }
feature { name: "text" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "sunny" type: INT presence { min_fraction: 1.0 } shape {} int_domain { min: 0 max: 1 } }
"""
SUITE = """
{"name": "postcards", "meta": {}, "expectations": [
  {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "text"}, "meta": {}, "severity": "critical"}
]}
"""
FEATURES = """
import tensorflow as tf
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    ids = tft.compute_and_apply_vocabulary(tf.strings.split(inputs["text"]), num_oov_buckets=1, vocab_filename="words")
    return {
        "picture": inputs["picture"],
        "words": ids,
        "begin": tf.concat([ids.to_tensor(shape=[None, 2]) + 1, tf.zeros([tf.shape(inputs["text"])[0], 1], tf.int64)], axis=1),
    }


def late_fn(features, training, seed):
    pictures = tf.map_fn(decoded, features["picture"], fn_output_signature=tf.TensorSpec([16, 16, 3], tf.float32))
    if training:
        pictures = tf.image.stateless_random_brightness(pictures, 0.05, seed)
    words = features["words"].to_tensor(shape=[None, 6])
    return {"picture": pictures, "words": words, "begin": features["begin"]}


def decoded(picture):
    return tf.image.resize(tf.io.decode_jpeg(picture, channels=3), [16, 16]) / 255
"""
MODEL = """
import keras


def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    parts = [keras.layers.GlobalAveragePooling2D()(inputs["picture"])]
    for name in ("words", "begin"):
        size = schema.features[name].vocabulary_size
        parts.append(keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(size, 4)(inputs[name])))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Concatenate()(parts))
    return keras.Model(inputs, schema.outputs(x))
"""
WORDS = ["sea", "hills", "rain", "beach", "snow", "cloud", "wind"]


def postcards(rows: int = 400) -> pa.Table:
    """JPEGs of noise that are brighter where it is sunny, in several sizes, with one to five words."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    sunny = random.integers(0, 2, rows)
    pictures = [
        tf.io.encode_jpeg(random.integers(0, 200 + 50 * one, (40, 30 + row % 20, 3)).astype(np.uint8)).numpy()
        for row, one in enumerate(sunny)
    ]
    texts = [" ".join(random.choice(WORDS, random.integers(1, 6))) for _ in range(rows)]
    return pa.table({"picture": pa.array(pictures, pa.binary()), "text": texts, "sunny": sunny})


@pytest.fixture
def use_case(places: pathlib.Path) -> pa.Table:
    folder, contracts = places / "workloads" / "postcards", places / "schemas" / "postcards"
    files = {
        folder: {"workload.yaml": WORKLOAD, "model.py": MODEL, "features.py": FEATURES},
        contracts: {"schema.pbtxt": SCHEMA, "expectations.json": SUITE},
    }
    for where, contents in files.items():
        where.mkdir(parents=True)
        for name, content in contents.items():
            (where / name).write_text(content)
    data = home.data_root() / "postcards" / "span-1"
    data.mkdir(parents=True)
    rows = postcards()
    pq.write_table(rows, data / "postcards.parquet")
    return rows


@pytest.mark.slow
def test_pictures_and_words_reach_a_release(use_case: pa.Table) -> None:
    result = run(RunRequest("postcards", None, (), 5), Display())
    assert (result.error, result.status) == (None, "succeeded")
    assert result.blessed, result.metrics
    (stored,) = home.pipeline_root("postcards").glob("Transform/transformed_examples/*")
    written = sum(path.stat().st_size for path in stored.rglob("*.parquet"))
    jpegs = sum(len(one) for one in use_case["picture"].to_pylist())
    assert written <= 1.05 * jpegs
    train = read_split(str(stored), TRAIN)
    assert {len(one) for one in train["words"].to_pylist()} == {1, 2, 3, 4, 5}
    assert set(train["picture"].to_pylist()) <= set(use_case["picture"].to_pylist())

    import tensorflow as tf

    release = pathlib.Path(result.release["uri"])
    asked = tf.saved_model.load(str(release)).signatures["serving_default"]
    answers = asked(
        picture=tf.constant(use_case["picture"].to_pylist()[:3]), text=tf.constant(use_case["text"].to_pylist()[:3])
    )
    assert answers["probability"].shape == (3,)
    described = json.loads((release / "assets.extra" / "trainyard.json").read_text())
    assert list(described["features"]) == ["picture", "text"]
