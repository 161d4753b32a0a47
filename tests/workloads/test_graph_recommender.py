"""The graph_recommender workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import user_code
from components.trainer import Feature, ModelSchema

TINY = np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 0], [0, 1]])  # the last one twice
OPTIONS = {"embedding_size": 2, "steps": 2, "scale": 1.0}


@pytest.fixture(scope="module")
def case_(case: Callable[[str], Any]) -> Any:
    return case("graph_recommender")


@pytest.fixture(scope="module")
def splits(case_: Any) -> dict[str, pa.Table]:
    folder = case_.landing / "graph_recommender" / "span-1"
    return {split: pq.read_table(folder / f"lastfm-{split}.parquet") for split in ("train", "test")}


def built(case_: Any, links: np.ndarray, users: int, items: int, **options: Any) -> Any:
    features = {
        name: Feature(name, "int64", (), size) for name, size in (("user", users), ("artist", items))
    }  # the last number of each is of those that train lacks
    schema = ModelSchema(features, "retrieval", None, task_options={"item": "artist"}, query="user", interactions=links)
    build: Callable[..., Any] = user_code.load_function(str(case_.folder / "model.py"), "build_model")
    return build(schema, {**OPTIONS, **options})


def recall_20(lists: np.ndarray, test: pa.Table) -> float:
    """The mean over users; a list for each row of test."""
    _, row = np.unique(test["user"].to_numpy(), return_inverse=True)
    hits = (lists[:, :20] == test["artist"].to_numpy()[:, np.newaxis]).any(axis=1)
    return float((np.bincount(row, hits) / np.bincount(row)).mean())


def test_the_data_keeps_its_contracts(case_: Any) -> None:
    rows = case_.rows()
    assert set(rows.column_names) == {"user", "artist"}
    assert case_.anomalies(rows) == {}
    assert case_.failed_expectations(rows) == []


def test_embeddings_are_the_mean_of_steps_along_the_graph(case_: Any) -> None:
    model = built(case_, TINY, 4, 4)
    shares = np.zeros((4, 4))
    shares[tuple(TINY.T)] = 0.5  # each has two links, and so has its neighbour: 1 / sqrt(2 * 2)
    graph = np.block([[np.zeros((4, 4)), shares], [shares.T, np.zeros((4, 4))]])
    first = np.asarray(model.first)
    wanted = (first + graph @ first + graph @ graph @ first) / 3
    features = {"user": np.array([0, 1, 3]), "artist": np.array([2, 0, 3])}
    both = np.asarray(model(features))
    np.testing.assert_allclose(both[:, 0], wanted[features["user"]], atol=1e-6)
    np.testing.assert_allclose(both[:, 1], wanted[4 + features["artist"]], atol=1e-6)
    assert not both[2].any(), "who has no links has no direction: all items score alike"


def test_what_is_served_does_not_walk_the_graph(case_: Any) -> None:
    model = built(case_, TINY, 4, 4)
    features = {"user": np.array([0, 1, 2]), "artist": np.array([2, 1, 0])}
    before = np.asarray(model(features))
    model.freeze()
    model.first.assign(np.zeros(model.first.shape))
    np.testing.assert_array_equal(np.stack([model.queries(features), model.items(features)], axis=1), before)


def test_simple_methods_find_what_their_papers_say(case_: Any, splits: dict[str, pa.Table]) -> None:
    task = case_.workload.task_options
    found = {
        name: user_code.load_function(str(case_.folder / "baseline.py"), name)(
            splits["train"], splits["test"].select(["user"]), Wanted(task)
        )
        for name in ("popularity", "graph_filter")
    }
    assert found["popularity"].shape == (10_533, 100)
    assert recall_20(found["popularity"], splits["test"]) == pytest.approx(0.0365, abs=0.002)
    assert recall_20(found["graph_filter"], splits["test"]) == pytest.approx(0.271, abs=0.003)
    had = set(zip(splits["train"]["user"].to_pylist(), splits["train"]["artist"].to_pylist(), strict=True))
    users = splits["test"]["user"].to_pylist()
    assert not any(
        (user, item) in had for user, row in zip(users[:500], found["graph_filter"], strict=False) for item in row
    )


class Wanted:
    """A task, as far as baseline.py asks it."""

    def __init__(self, options: Any) -> None:
        self.options = options


def test_the_model_is_a_graph_filter_before_it_has_learnt_anything(case_: Any, splits: dict[str, pa.Table]) -> None:
    train, test = splits["train"], splits["test"]
    users, user = np.unique(train["user"].to_numpy(), return_inverse=True)
    items, item = np.unique(train["artist"].to_numpy(), return_inverse=True)
    links = np.stack([user, item], axis=1)
    model = built(case_, links, len(users) + 1, len(items) + 1, **case_.workload.training.hyperparameters)
    rows = np.searchsorted(users, test["user"].to_numpy())
    rows[~np.isin(test["user"].to_numpy(), users)] = len(users)
    model.freeze()
    scores = (
        np.asarray(model.queries({"user": np.arange(len(users) + 1)}))
        @ np.asarray(model.items({"artist": np.arange(len(items))})).T
    )
    scores[user, item] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    assert recall_20(items[best][rows], test) > 0.255
