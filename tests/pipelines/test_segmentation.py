"""A workload whose label is a mask through the whole pipeline, to a release that answers with masks."""

from __future__ import annotations

import io
import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model_store import ModelStore
from pipelines.predict import PredictRequest, predict
from pipelines.run import Display, RunRequest, run
from spec import home

WORKLOAD = """
name: tips
task: segmentation
description: Where in a made-up picture a bright or a dark patch lies.
data:
  uri: "{DATA}/{WORKLOAD}/span-{SPAN}/*"
  format: parquet
  label: {column: mask}
task_options: {classes: [ground, bright, dark], size: [16, 16]}
training: {epochs: 6, batch_size: 16, hyperparameters: {learning_rate: 0.03}}
evaluation:
  thresholds: [{metric: miou, min: 0.6}]
  slices: [place]
  baseline: [always_ground]
infra_validation: {requests: 4}
"""
SCHEMA = """
feature { name: "image" type: BYTES presence { min_fraction: 1.0 } shape {} image_domain {} }
feature { name: "mask" type: BYTES presence { min_fraction: 1.0 } shape {} image_domain {} }
feature { name: "place" type: BYTES presence { min_fraction: 1.0 } shape {} }
"""
SUITE = """
{"name": "tips", "meta": {}, "expectations": [
  {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "mask"}, "meta": {}, "severity": "critical"}
]}
"""
FEATURES = """
import tensorflow as tf


def preprocessing_fn(inputs):
    spec = tf.TensorSpec([16, 16, 1], tf.uint8)
    pixels = tf.map_fn(lambda png: tf.io.decode_png(png, channels=1), inputs["image"], fn_output_signature=spec)
    return {"picture": tf.cast(pixels, tf.float32) / 255}
"""
MODEL = """
import keras


def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs["picture"])
    return keras.Model(inputs, schema.outputs(x))
"""
BASELINE = """
import numpy as np


def always_ground(train, test, task):
    return np.zeros((len(test), *task.size), np.uint8)
"""
CLASSES = ["ground", "bright", "dark"]


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def pictures(rows: int = 240, seed: int = 0) -> pa.Table:
    """A patch, brighter or darker than the ground, in each picture; masks of twice the size that is learnt."""
    random = np.random.default_rng(seed)
    found: dict[str, list[object]] = {"image": [], "mask": [], "place": []}
    for _ in range(rows):
        top, left, kind = *random.integers(0, 9, 2), random.integers(1, 3)
        mask = np.zeros((16, 16), np.uint8)
        mask[top : top + 8, left : left + 8] = kind
        picture = 128 + np.array([0, 90, -90])[mask] + random.normal(0, 15, mask.shape)
        found["image"].append(_png(picture.clip(0, 255)))
        found["mask"].append(_png(mask.repeat(2, axis=0).repeat(2, axis=1)))
        found["place"].append("low" if top > 4 else "high")
    return pa.table(found)


@pytest.mark.slow
def test_it_reaches_a_release_and_answers_with_masks(yard, tmp_path: pathlib.Path) -> None:
    yard.write(workload=WORKLOAD, features=FEATURES, model=MODEL, schema=SCHEMA, suite=SUITE)
    (yard.folder / "baseline.py").write_text(BASELINE)
    span = yard.span(1, "").parent
    (span / "trips.csv").unlink()
    pq.write_table(pictures(), span / "pictures.parquet")

    result = run(RunRequest("tips", None, (), 5), Display())
    assert (result.error, result.status, result.blessed) == (None, "succeeded", True), result.reasons
    assert 0.6 < result.metrics["miou"] <= result.metrics["dice"] <= 1
    (evaluation,) = (home.pipeline_root("tips") / "Evaluator" / "evaluation").iterdir()
    metrics = json.loads((evaluation / "metrics.json").read_text())
    assert metrics["classes"] == CLASSES == metrics["confusion_matrix"]["labels"]
    assert [one["name"] for one in metrics["by_class"]] == CLASSES
    assert metrics["trivial"]["miou"] == pytest.approx(0.25, abs=0.03)
    assert {one["value"] for one in metrics["slices"]} == {"low", "high"}
    page = pathlib.Path(result.reports["run"]).read_text()
    assert "Intersection over union by class" in page and "The worst masks" in page

    ModelStore(home.store_uri()).promote("tips", 1, reason="test", actor="test")
    pq.write_table(pictures(20, seed=1).drop_columns("mask"), tmp_path / "new.parquet")
    asked = predict(PredictRequest("tips", str(tmp_path / "new.parquet"), tmp_path / "out", wait_s=5), Display())
    assert asked.status == "succeeded", asked.error
    (shard,) = (tmp_path / "out").glob("predictions-*")
    answers = pq.read_table(shard)
    assert answers.column_names == ["file", "row", "shares", "mask_bytes", "model_version"]
    shown = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in answers["mask_bytes"].to_pylist()])
    assert shown.shape == (20, 16, 16)
    np.testing.assert_allclose(np.stack(answers["shares"].to_numpy())[:, 1], (shown == 1).mean(axis=(1, 2)), atol=1e-6)
    truths = [np.asarray(Image.open(io.BytesIO(png)))[::2, ::2] for png in pictures(20, seed=1)["mask"].to_pylist()]
    assert (shown == np.stack(truths)).mean() > 0.9
