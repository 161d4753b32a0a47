"""The social_recommender workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from components import user_code
from components.trainer import Feature, ModelSchema
from spec import home

FOLDER = home.workloads_root() / "social_recommender"
USERS, ARTISTS, NOBODY = 4, 4, 4  # and one number more for all others
LINKS = np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 0], [3, 3], [3, 0]])
OPTIONS = {"embedding_size": 2, "scale": 1.0, "dropout": 0.5}


@pytest.fixture(scope="module")
def case_(case: Callable[[str], Any]) -> Any:
    return case("social_recommender")


@pytest.fixture(scope="module")
def model() -> Any:
    features = {
        "user": Feature("user", "int64", (), USERS + 1),
        "friends": Feature("friends", "int64", (3,), USERS + 1),
        "artist": Feature("artist", "int64", (), ARTISTS + 1),
    }
    schema = ModelSchema(features, "retrieval", None, task_options={"item": "artist"}, query="user", interactions=LINKS)
    return user_code.load_function(str(FOLDER / "model.py"), "build_model")(schema, OPTIONS)


def users(model: Any, user: list[int], friends: list[list[int]], training: bool = False) -> np.ndarray:
    return np.asarray(model.queries({"user": np.array(user), "friends": np.array(friends)}, training=training))


def test_the_data_keeps_its_contracts(case_: Any) -> None:
    rows = case_.rows()
    assert set(rows.column_names) == {"user", "friends", "artist"}
    assert case_.anomalies(rows) == {}
    assert case_.failed_expectations(rows) == []


def test_every_twentieth_user_is_new(case_: Any) -> None:
    case_.rows()
    rows = pq.read_table(case_.landing / "social_recommender" / "span-1").to_pandas()
    new = rows[rows["cold_user"] == 1]
    assert set(new["user"] % 20) == {0} and set(new["split"]) == {"test"} and len(new) == 2_696
    assert not set(new["user"]) & set(rows[rows["split"] == "train"]["user"])
    assert len(rows) == 52_668 and (rows["friends"].str.len() > 0).all()


def test_somebody_new_is_the_mean_of_the_friends_that_are_known(model: Any) -> None:
    nobody = [NOBODY] * 3
    known = users(model, [0, 1, 2], [nobody] * 3)
    new = users(model, [NOBODY, NOBODY, NOBODY], [[0, 1, NOBODY], [2, NOBODY, NOBODY], nobody])
    np.testing.assert_allclose(new, [known[:2].mean(axis=0), known[2], [0, 0]], atol=1e-6)


def test_training_takes_some_users_for_new_ones(model: Any) -> None:
    friends = [[1, NOBODY, NOBODY]] * 200
    own, friend = users(model, [0, 1], friends[:2])
    found = users(model, [0] * 200, friends, training=True)
    is_itself = np.isclose(found, own).all(axis=1)
    assert np.isclose(found[~is_itself], friend).all()
    assert 50 < is_itself.sum() < 150


def test_friends_are_numbered_as_users_are(monkeypatch: pytest.MonkeyPatch) -> None:
    function = user_code.load_function(str(FOLDER / "features.py"), "preprocessing_fn")
    tft = function.__globals__["tft"]
    # Vocabularies are TFT's, and need an analysis; the rest is plain TensorFlow.
    monkeypatch.setattr(tft, "vocabulary", lambda column, **_: None)
    for name in ("apply_vocabulary", "compute_and_apply_vocabulary"):
        monkeypatch.setattr(tft, name, lambda column, *_, **__: column)
    many = " ".join(map(str, range(100)))
    numbers = tf.constant([1, 2, 3], tf.int64)
    found = function({"user": numbers, "artist": numbers, "friends": tf.constant(["7 12", "", many])})["friends"]
    assert found.shape == (3, 48) and found.dtype == tf.int64
    assert found[0].numpy().tolist() == [7, 12] + [-1] * 46
    assert found[1].numpy().tolist() == [-1] * 48 and found[2].numpy().tolist() == list(range(48))


def test_simple_methods_answer_somebody_new_by_the_friends() -> None:
    class Task:
        class options:
            top_k = 2

    train = pa.table(
        {"user": [1, 1, 2, 2, 3, 3], "artist": [7, 8, 7, 9, 9, 8], "friends": ["2", "2", "1", "1", "", ""]}
    )
    test = pa.table({"user": [4, 1], "friends": ["2 99", "2"]})
    found = {
        name: user_code.load_function(str(FOLDER / "baseline.py"), name)(train, test, Task).tolist()
        for name in ("popularity", "friends_favourites", "ease")
    }
    assert found["popularity"] == [[7, 8], [9, 7]], "of the same frequency the lower number; then what 1 has had"
    assert found["friends_favourites"] == [[7, 9], [9, 7]]
    assert set(found["ease"][0]) == {8, 7} or found["ease"][0][0] == 8, "what goes with the friend's artists"
