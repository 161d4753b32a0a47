"""A workload whose rows have several classes through the whole pipeline, to a release that answers."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pyarrow.parquet as pq
import pytest

from model_store import ModelStore
from pipelines.predict import PredictRequest, predict
from pipelines.run import Display, RunRequest, run
from spec import home

CLASSES = ("art", "sport", "trade")
WORKLOAD = """
name: tips
task: multilabel
description: Which topics a made-up article has.
data:
  uri: "{DATA}/{WORKLOAD}/span-{SPAN}/*"
  label: {column: topics, separator: ";", merge_spellings: true}
training: {epochs: 8, batch_size: 32, hyperparameters: {learning_rate: 0.02}}
evaluation:
  thresholds: [{metric: macro_auc, min: 0.85}]
  slices: [topics]
infra_validation: {requests: 4}
"""
SCHEMA = """
feature { name: "x" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "y" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "z" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature {
  name: "topics" type: BYTES presence { min_fraction: 1.0 } value_count {}
  string_domain { value: "art" value: "sport" value: "trade" }
}
"""
SUITE = """
{"name": "tips", "meta": {}, "expectations": [
  {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "topics"}, "meta": {}, "severity": "critical"}
]}
"""
FEATURES = """
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    return {name: tft.scale_to_z_score(inputs[name]) for name in ("x", "y", "z")}
"""
MODEL = """
import keras


def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Concatenate()([keras.ops.expand_dims(one, -1) for one in inputs.values()])
    return keras.Model(inputs, schema.outputs(keras.layers.Dense(8, activation="relu")(x)))
"""


def articles(rows: int = 600, seed: int = 0) -> str:
    """CSV of made-up articles: each topic follows from a column, with some noise. Some articles have none."""
    random = np.random.default_rng(seed)
    lines = ["x,y,z,topics"]
    for values in random.normal(size=(rows, 3)):
        about = values + 0.4 * random.normal(size=3) > (0, 0.5, 1)
        topics = [name for name, is_there in zip(CLASSES, about, strict=True) if is_there]
        lines.append(",".join(f"{value:.3f}" for value in values) + f",{'; '.join(topics).replace('sport', 'Sport')}")
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_it_reaches_a_release_and_names_the_classes(yard, tmp_path: pathlib.Path) -> None:
    yard.write(workload=WORKLOAD, features=FEATURES, model=MODEL, schema=SCHEMA, suite=SUITE)
    span = yard.span(1, articles())
    result = run(RunRequest("tips", None, (), 5), Display())
    assert (result.error, result.status, result.blessed) == (None, "succeeded", True), result.reasons
    assert 0.85 < result.metrics["macro_auc"] <= 1 and result.metrics["micro_f1"] > 0.6
    metrics = ModelStore(home.store_uri()).release("tips", 1).metrics
    assert metrics["classes"] == list(CLASSES) and metrics["trivial"]["macro_auc"] == 0.5
    assert {"", "art", "art, sport"} < {one["value"] for one in metrics["slices"]}
    described = json.loads((pathlib.Path(result.release["uri"]) / "assets.extra" / "trainyard.json").read_text())
    assert described["classes"] == list(CLASSES) and set(described["features"]) == {"x", "y", "z"}

    ModelStore(home.store_uri()).promote("tips", 1, reason="test", actor="test")
    asked = predict(PredictRequest("tips", str(span), tmp_path / "out", wait_s=5), Display())
    assert asked.status == "succeeded", asked.error
    (shard,) = (tmp_path / "out").glob("predictions-*")
    answers = pq.read_table(shard)
    assert answers.column_names == ["file", "row", "probabilities", "label", "model_version"]
    called = np.stack(answers["probabilities"].to_numpy()) > 0.5
    named = [[name in label.split(";") for name in CLASSES] for label in answers["label"].to_pylist()]
    assert (called == np.array(named)).all() and called.any(axis=0).all()


def test_a_class_that_nobody_knows_stops_the_run(yard) -> None:
    yard.write(workload=WORKLOAD, features=FEATURES, model=MODEL, schema=SCHEMA, suite=SUITE)
    yard.span(1, articles().replace("trade", "commerce"))
    result = run(RunRequest("tips", None, (), 5), Display())
    assert result.status == "failed" and "topics" in str(result.error)
