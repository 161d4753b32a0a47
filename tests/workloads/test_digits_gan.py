"""The digits_gan workload on its own data."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml

from components import user_code
from components.trainer import Feature, ModelSchema
from model_store import ModelStore
from pipelines.run import Display, RunRequest, run
from spec import home

SIZE = (28, 28, 1)


@pytest.fixture(scope="module")
def gan(case: Callable[[str], Any]) -> Any:
    return case("digits_gan")


@pytest.fixture(scope="module")
def rows(gan: Any) -> pa.Table:
    return gan.rows().slice(0, 2000)


@pytest.fixture(scope="module")
def model(gan: Any, rows: pa.Table) -> Any:
    """After an epoch of few pictures."""
    features = {"digit": Feature("digit", "float32", (10,)), "seed": Feature("seed", "int64")}
    schema = ModelSchema(features, "generation", "image_bytes", task_options=gan.workload.task_options.model_dump())
    pictures = schema.kind.late_target(tf.constant(rows["image_bytes"].to_pylist()))
    assert pictures.shape == (2000, *SIZE) and pictures.numpy().min() >= 0 and pictures.numpy().max() == 1
    return gan.fit(schema, asked(rows["digit"].to_numpy(), rows["seed"].to_numpy()), pictures.numpy(), epochs=1)


def asked(digits: Any, seeds: Any) -> dict[str, Any]:
    return {"digit": np.eye(10, dtype=np.float32)[digits], "seed": np.asarray(seeds, np.int64)}


def test_the_data_keeps_its_contracts(gan: Any, rows: pa.Table) -> None:
    assert gan.anomalies(rows) == {}
    assert gan.failed_expectations(rows) == []
    assert set(rows.column_names) == {"digit", "seed", "image_bytes"}


def test_a_request_without_a_seed_is_drawn_by_chance(gan: Any) -> None:
    function = user_code.load_function(str(gan.folder / "features.py"), "preprocessing_fn")
    seeds = tf.sparse.SparseTensor([[0, 0], [3, 0]], tf.constant([7, 0], tf.int64), [4, 1])
    found = function({"digit": tf.constant([3, 3, 3, 3], tf.int64), "seed": seeds})
    assert found["digit"].shape == (4, 10) and found["digit"].numpy().argmax(axis=1).tolist() == [3, 3, 3, 3]
    first, one, other, last = found["seed"].numpy().tolist()
    assert (first, last) == (7, 0) and one != other


def test_a_seed_is_a_picture_whatever_it_is_asked_with(model: Any) -> None:
    batch = np.asarray(model(asked([3, 3, 4], [1, 2, 1])))
    assert batch.shape == (3, *SIZE) and batch.min() >= 0 and batch.max() <= 1
    assert not np.allclose(batch[0], batch[1]) and not np.allclose(batch[0], batch[2])
    for row, (digit, seed) in enumerate([(3, 1), (3, 2), (4, 1)]):
        np.testing.assert_allclose(model(asked([digit], [seed]))[0], batch[row], atol=1e-5)


def test_a_code_is_a_picture(model: Any) -> None:
    codes = np.zeros((2, model.code_size), np.float32)
    pictures = np.asarray(model.decode(asked([5, 5], [0, 0]), codes))
    assert pictures.shape == (2, *SIZE)
    np.testing.assert_allclose(pictures[0], pictures[1], atol=1e-6)


def test_both_networks_learn(model: Any) -> None:
    (logs,) = ({name: values[-1] for name, values in model.history.history.items()},)
    assert {"loss", "generator", "discriminator"} == set(logs) and all(map(np.isfinite, logs.values()))
    assert logs["loss"] == pytest.approx(logs["generator"] + logs["discriminator"], rel=1e-4)
    trained = {id(one) for one in model.trainable_variables}
    assert trained == {
        id(one) for one in [*model.generator.trainable_variables, *model.discriminator.trainable_variables]
    }


def test_simple_generators_draw_what_is_asked_for(gan: Any, rows: pa.Table) -> None:
    asked_for = pa.table({"digit": [0] * 40 + [1] * 40})
    methods = [user_code.load_function(str(gan.folder / "baseline.py"), name) for name in ("gaussians", "mean_picture")]
    drawn, means = (method(rows, asked_for, None) for method in methods)
    assert drawn.shape == means.shape == (80, *SIZE) and drawn.min() >= 0 and drawn.max() <= 1
    assert np.ptp(means[:40], axis=0).max() == 0 < np.ptp(drawn[:40], axis=0).max()
    middle = drawn[:, 12:16, 12:16].mean(axis=(1, 2, 3))  # a nought is empty there, and a one is not
    assert middle[:40].mean() < 0.3 < 0.5 < middle[40:].mean()


def _small(name: str, source: pa.Table) -> None:
    """A workload of the repository in a test's own folders: few rows, one epoch, and bars that any model keeps."""
    for rooms, root in (("workloads", home.workloads_root()), ("schemas", home.schemas_root())):
        own = home.ROOT / "pipelines" / rooms if rooms == "workloads" else home.ROOT / rooms
        shutil.copytree(own / name, root / name)
    file = home.workloads_root() / name / "workload.yaml"
    raw = yaml.safe_load(file.read_text())
    del raw["data"]["dataset"]
    raw["training"] |= {"epochs": 1}
    raw["evaluation"] |= {"thresholds": [], "slices": []}
    file.write_text(yaml.safe_dump(raw))
    span = home.data_root() / name / "span-1"
    span.mkdir(parents=True)
    pq.write_table(pa.concat_tables([source.slice(0, 2000), source.slice(60_000, 400)]), span / "rows.parquet")


@pytest.mark.slow
def test_another_workload_s_release_judges_it(gan: Any, places: pathlib.Path) -> None:
    table = pq.read_table(next((gan.landing / "digits_gan" / "span-1").iterdir()))
    _small("digits_gan", table)
    _small("mnist", table.drop_columns(["seed"]).rename_columns({"digit": "label"}))
    alone = run(RunRequest("digits_gan", None, (), 5), Display())
    assert alone.error and "evaluation.judge" in alone.error and "trainyard run mnist" in alone.error
    assert not any(one.id == "Trainer" and one.status == "succeeded" for one in alone.components)

    assert run(RunRequest("mnist", None, (), 5), Display()).blessed
    ModelStore(home.store_uri()).promote("mnist", 1, reason="test", actor="test")
    result = run(RunRequest("digits_gan", None, (), 5), Display())
    assert (result.error, result.status, result.blessed) == (None, "succeeded", True), result.reasons
    assert set(result.metrics) == {"judge_accuracy", "frechet", "synthetic_train", "real_train"}
    assert result.metrics["real_train"] > result.metrics["synthetic_train"]
    page = pathlib.Path(result.reports["run"]).read_text()
    assert "<h3>Generated pictures</h3>" in page and "<h3>Drawn while it learnt</h3>" in page
    assert "gaussians reaches" in page.lower() and "mean picture" in page

    assert result.release is not None
    signatures = tf.saved_model.load(result.release["uri"]).signatures
    asked_for = {"digit": tf.constant([3, 3], tf.int64), "seed": tf.constant([5, -(2**63)], tf.int64)}
    answers = signatures["serving_default"](**asked_for)
    assert tf.io.decode_png(answers["picture_bytes"][0]).shape == SIZE and answers["pixels"].shape == (2, *SIZE)
    decoded = signatures["decode"](digit=asked_for["digit"], code=tf.zeros([2, 64]))
    np.testing.assert_allclose(decoded["pixels"][0], decoded["pixels"][1], atol=1e-6)
