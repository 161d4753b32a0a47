"""The place_recommender workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from components import user_code
from components.trainer import Feature, ModelSchema
from spec import home

LINKS = np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 0]])


@pytest.fixture(scope="module")
def case_(case: Callable[[str], Any]) -> Any:
    return case("place_recommender")


def test_the_data_keeps_its_contracts(case_: Any) -> None:
    rows = case_.rows()
    assert set(rows.column_names) == {"user", "place"}
    assert case_.anomalies(rows) == {}
    assert case_.failed_expectations(rows) == []


def test_the_vectors_are_found_and_not_learnt() -> None:
    features = {name: Feature(name, "int64", (), 4) for name in ("user", "place")}
    schema = ModelSchema(features, "retrieval", None, task_options={"item": "place"}, query="user", interactions=LINKS)
    build = user_code.load_function(str(home.workloads_root() / "place_recommender" / "model.py"), "build_model")
    model = build(schema, {"embedding_size": 2, "smoothing": 0})
    assert model.trainable_variables == []
    users, places = model.queries({"user": np.arange(4)}), model.items({"place": np.arange(4)})
    scores = np.asarray(users) @ np.asarray(places).T
    assert not scores[3].any(), "who was nowhere has no direction"
    for user in range(3):
        (unseen,) = set(range(3)) - set(LINKS[LINKS[:, 0] == user, 1])
        assert scores[user].argmin() in {unseen, 3}, "two of three directions say who was where"
