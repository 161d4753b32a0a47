"""The autoencoder workload on its own data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components import user_code

DIGITS = 60_000  # before the test set's; letters come last


@pytest.fixture(scope="module")
def autoencoder(case: Callable[[str], Any]) -> Any:
    return case("autoencoder")


@pytest.fixture(scope="module")
def rows(autoencoder: Any) -> pa.Table:
    return autoencoder.rows()


@pytest.fixture(scope="module")
def train(rows: pa.Table) -> pa.Table:
    return rows.slice(0, 4000)


@pytest.fixture(scope="module")
def test(rows: pa.Table) -> pa.Table:
    """1,000 digits and 200 letters."""
    return pa.concat_tables([rows.slice(DIGITS, 1000), rows.slice(len(rows) - 200, 200)])


def test_the_data_keeps_its_contracts(autoencoder: Any, train: pa.Table, test: pa.Table) -> None:
    assert autoencoder.anomalies(train) == {} and autoencoder.anomalies(test) == {}
    assert autoencoder.failed_expectations(test) == []
    assert train["anomaly"].to_numpy().max() == 0 and test["anomaly"].to_numpy().sum() == 200


def test_it_makes_digits_again_and_letters_worse(autoencoder: Any, train: pa.Table, test: pa.Table) -> None:
    schema, features = autoencoder.vectors(train)
    schema = dataclasses.replace(schema, task_options={"unit_interval": True})
    pixels = features["pixels"]
    model = autoencoder.fit(schema, features, pixels, epochs=12)
    _, unseen = autoencoder.vectors(test)
    task, tensors = schema.kind, {"pixels": tf.constant(unseen["pixels"])}
    answers = {name: value.numpy() for name, value in task.answers(model(tensors), tensors, model).items()}
    assert answers["code"].shape == (1200, 16)
    np.testing.assert_array_equal(model.decoder(answers["code"]), answers["reconstruction"])
    values = _values(task, test, task.judged(answers))
    assert values["auc"] > 0.8
    errors = (_baseline(autoencoder, name)(train, test, task) for name in ("pca_32", "mean_picture"))
    least, most = (_values(task, test, task.judged({"error": one}))["mse"] for one in errors)
    assert least < values["mse"] < most


def _values(task: Any, rows: pa.Table, judged: Any) -> dict[str, Any]:
    return task.values(task.reduce(task.terms(rows["anomaly"].to_numpy(), judged)))


def _baseline(autoencoder: Any, name: str) -> Callable[..., Any]:
    return user_code.load_function(str(autoencoder.folder / "baseline.py"), name)
