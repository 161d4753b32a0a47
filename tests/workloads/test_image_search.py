"""The image_search workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from components import assets, user_code
from components.trainer import Feature, ModelSchema

KINDS, TRAIN, TEST = 12, 15, 5


@pytest.fixture(scope="module")
def flowers(case: Callable[[str], Any]) -> Any:
    found = case("image_search")
    if not assets.location(found.workload.assets["squeezenet"]).is_file():
        pytest.skip("SqueezeNet's weights are not in the dataset cache")
    return found


@pytest.fixture(scope="module")
def photos(flowers: Any) -> dict[str, pa.Table]:
    """A few of each kind."""
    table = pq.read_table(flowers.landing / "image_search" / "span-1" / "flowers12.parquet")
    labels, splits = (np.array(table[name].to_pylist()) for name in ("label", "split"))

    def some(split: str, count: int) -> pa.Table:
        return table.take(
            np.concatenate([np.flatnonzero((labels == k) & (splits == split))[:count] for k in np.unique(labels)])
        )

    return {"train": some("train", TRAIN), "test": some("test", TEST)}


@pytest.fixture(scope="module")
def seen(flowers: Any, photos: dict[str, pa.Table]) -> dict[str, Any]:
    function = user_code.load_function(str(flowers.folder / "features.py"), "preprocessing_fn")
    with assets.given(flowers.workload.assets):
        return {
            split: function({"image": tf.constant(rows["image"].to_pylist())})["seen"].numpy()
            for split, rows in photos.items()
        }


def mean_average_precision(queries: Any, items: Any) -> float:
    kinds = np.repeat(np.arange(KINDS), TRAIN)
    right = kinds[np.argsort(-queries @ items.T, axis=1)] == np.repeat(np.arange(KINDS), TEST)[:, np.newaxis]
    precision = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
    return float(((precision * right).sum(axis=1) / right.sum(axis=1)).mean())


def test_the_data_keeps_its_contracts(flowers: Any) -> None:
    rows = flowers.rows()
    assert flowers.anomalies(rows) == {}
    assert flowers.failed_expectations(rows) == []


def test_the_learnt_space_is_better_than_what_it_is_made_of(flowers: Any, seen: dict[str, Any]) -> None:
    assert seen["train"].shape == (KINDS * TRAIN, 512) and seen["train"].min() >= 0
    options = flowers.workload.task_options.model_dump()
    schema = ModelSchema({"seen": Feature("seen", "float32", (512,))}, "retrieval", "label", task_options=options)
    build: Callable[..., Any] = user_code.load_function(str(flowers.folder / "model.py"), "build_model")
    model = build(schema, flowers.workload.training.hyperparameters)
    model.compile("adam", schema.kind.loss(schema))
    labels = np.repeat(np.arange(KINDS), TRAIN).astype(np.float32)
    model.fit({"seen": seen["train"]}, labels, batch_size=60, epochs=40, verbose=0)
    queries, items = (np.asarray(model.queries({"seen": seen[split]})) for split in ("test", "train"))
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, rtol=1e-4)
    raw = mean_average_precision(
        *(one / np.linalg.norm(one, axis=1, keepdims=True) for one in (seen["test"], seen["train"]))
    )
    assert mean_average_precision(queries, items) > max(0.8, raw + 0.05)


def test_colours_alone_say_something(flowers: Any, photos: dict[str, pa.Table]) -> None:
    class Task:
        class options:
            top_k = 20

    function = user_code.load_function(str(flowers.folder / "baseline.py"), "colours")
    lists = function(photos["train"], photos["test"].select(["image"]), Task)
    assert lists.shape == (KINDS * TEST, 20)
    assert (lists[:, 0] // TRAIN == np.repeat(np.arange(KINDS), TEST)).mean() > 2 / KINDS
