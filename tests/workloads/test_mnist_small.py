"""The mnist_small workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from components import user_code


@pytest.fixture(scope="module")
def mnist_small(case: Callable[[str], Any]) -> Any:
    return case("mnist_small")


@pytest.fixture(scope="module")
def rows(mnist_small: Any) -> pa.Table:
    return mnist_small.rows().slice(0, 3000)


def test_the_data_keeps_its_contracts(mnist_small: Any, rows: pa.Table) -> None:
    assert mnist_small.anomalies(rows) == {}
    assert mnist_small.failed_expectations(rows) == []


@pytest.mark.parametrize(("network", "weights", "least"), [("convolutional", 35_000, 0.75), ("dense", 109_000, 0.8)])
def test_either_network_learns_from_a_few_pictures(
    mnist_small: Any, rows: pa.Table, network: str, weights: int, least: float
) -> None:
    labels = rows["label"].to_numpy()
    schema, features = mnist_small.vectors(rows)
    training = mnist_small.workload.training
    chosen = training.model_copy(update={"hyperparameters": {**training.hyperparameters, "network": network}})
    object.__setattr__(mnist_small, "workload", mnist_small.workload.model_copy(update={"training": chosen}))
    model = mnist_small.fit(schema, {"picture": features["picture"][:2500]}, labels[:2500], epochs=4)
    assert model.count_params() == pytest.approx(weights, rel=0.05)
    answers = model.predict({"picture": features["picture"][2500:]}, verbose=0)
    assert (answers.argmax(axis=1) == labels[2500:]).mean() > least


def test_the_other_network_stands_beside_it(mnist_small: Any, rows: pa.Table) -> None:
    function = user_code.load_function(str(mnist_small.folder / "baseline.py"), "dense_layers")
    task = type(
        "Prepared", (), {"classes": tuple("0123456789"), "read_labels": lambda self, column, where: column.to_numpy()}
    )()
    answers = function(rows.slice(0, 2500), rows.slice(2500).drop(["label"]), task)
    assert answers.shape == (500, 10)
    assert (answers.argmax(axis=1) == rows["label"].to_numpy()[2500:]).mean() > 0.85
