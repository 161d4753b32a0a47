"""A ranking workload through the whole pipeline: two releases, one champion, batch predictions."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from components.columnar import read_split
from model_store import ModelStore
from pipelines.predict import PredictRequest, predict
from pipelines.run import Display, RunRequest, run
from spec import home
from spec.splits import SPLITS

WORKLOAD = """
name: tips
task: ranking
description: Which offers of a made-up search are looked at and bought.
data:
  uri: "{DATA}/{WORKLOAD}/span-{SPAN}/*"
  label: {column: interest}
  query: search
training: {epochs: 6, batch_size: 64, hyperparameters: {learning_rate: 0.01}}
evaluation:
  thresholds: [{metric: ndcg_10, min: 0.75}, {metric: mrr, min: 0.3, slice: device, min_rows: 50}]
  slices: [device]
infra_validation: {requests: 4}
"""
SCHEMA = """
feature { name: "search" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "device" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "price" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "rating" type: FLOAT presence { min_fraction: 0.5 } value_count { max: 1 } }
feature { name: "interest" type: INT presence { min_fraction: 1.0 } shape {} int_domain { min: 0 max: 3 } }
"""
SUITE = """
{"name": "offers", "meta": {}, "expectations": [
  {"type": "expect_column_values_to_be_between", "kwargs": {"column": "price", "min_value": 0, "max_value": 100}, "meta": {},
   "severity": "critical"}
]}
"""
FEATURES = """
import tensorflow as tf
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    rating = tf.reshape(tf.sparse.to_dense(inputs["rating"], default_value=2.5), [-1])
    return {"price": tft.scale_to_z_score(inputs["price"]), "rating": tft.scale_to_z_score(rating)}
"""
MODEL = """
import keras


def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Concatenate()([keras.ops.expand_dims(inputs[name], -1) for name in ("price", "rating")])
    x = keras.layers.Dense(8, activation="relu")(x)
    return keras.Model(inputs, schema.outputs(x))
"""


def offers(searches: int = 120, seed: int = 0) -> str:
    """CSV of 8 offers a search: the cheap and well rated are of interest. The rows of a search lie far apart."""
    random = np.random.default_rng(seed)
    count = searches * 8
    price, rating = random.uniform(1, 100, count), random.uniform(0, 5, count)
    liked = rating / 5 - price / 100 + random.normal(0, 0.15, count)
    interest = np.digitize(liked, [0.2, 0.5, 0.7])
    number = np.tile(np.arange(searches), 8)
    return "search,device,price,rating,interest\n" + "".join(
        f"s{n},{'phone' if n % 3 else 'desk'},{p:.2f},{r:.1f},{i}\n"
        for n, p, r, i in zip(number, price, rating, interest, strict=True)
    )


@pytest.fixture(scope="module")
def ranking(yard):
    yard.write(workload=WORKLOAD, features=FEATURES, model=MODEL, schema=SCHEMA, suite=SUITE)
    yard.span(1, offers())
    return yard


@pytest.mark.slow
def test_a_ranking_model_is_trained_released_compared_and_asked(ranking, tmp_path: pathlib.Path) -> None:
    first = run(RunRequest("tips", None, (), 5), Display())
    assert (first.error, first.status, first.blessed) == (None, "succeeded", True), first.reasons
    assert first.release["version"] == 1 and first.metrics["ndcg_10"] > 0.75
    assert 0 < first.metrics["recall_10"] <= 1 and set(first.metrics) == {
        "ndcg_10", "map", "mrr", "precision_10", "recall_10"
    }  # fmt: skip
    page = pathlib.Path(first.reports["run"]).read_text()
    assert "NDCG@10" in page

    (examples,) = (home.pipeline_root("tips") / "ColumnarExampleGen" / "examples").iterdir()
    searches = [set(read_split(examples, split)["search"].to_pylist()) for split in SPLITS]
    assert sum(map(len, searches)) == len(set.union(*searches)) == 120, "no query is torn apart"
    held_out = searches[-1]

    ModelStore(home.store_uri()).promote("tips", 1, reason="test", actor="test")
    second = run(RunRequest("tips", None, ("training.epochs=7", "evaluation.champion.max_loss=1"), 5), Display())
    assert second.status == "succeeded", second.error
    assert second.champion["version"] == 1 and second.champion["metric"] == "ndcg_10"
    assert second.champion["ci_low"] <= second.champion["difference"] <= second.champion["ci_high"]
    (evaluation,) = sorted(
        (home.pipeline_root("tips") / "Evaluator" / "evaluation").iterdir(), key=lambda p: int(p.name)
    )[-1:]
    found = json.loads((evaluation / "metrics.json").read_text())
    assert found["queries"]["all"] == len(held_out) >= found["queries"]["judged"] > 0
    assert {one["value"] for one in found["slices"]} == {"phone", "desk"}

    asked = predict(
        PredictRequest(
            "tips", str(ranking.root / "data" / "tips" / "span-1"), tmp_path / "out", keys=("search",), wait_s=5
        ),
        Display(),
    )
    assert asked.status == "succeeded", asked.error
    (shard,) = (tmp_path / "out").glob("predictions-*")
    answers = pq.read_table(shard)
    assert answers.column_names == ["search", "prediction", "model_version"] and answers.num_rows == 960
    truth = pyarrow.csv.read_csv(ranking.root / "data" / "tips" / "span-1" / "trips.csv")["interest"].to_numpy()
    assert np.corrcoef(answers["prediction"].to_numpy(), truth)[0, 1] > 0.7
