"""The digits_gan workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components import user_code
from components.trainer import Feature, ModelSchema

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
