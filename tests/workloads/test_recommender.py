"""The recommender workload on made-up rows in MovieLens' columns; on MovieLens itself where it can be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components import user_code
from components.trainer import Feature, ModelSchema
from spec import home
from spec.workload import load_workload

FOLDER = home.workloads_root() / "recommender"
GENRES = ("Action", "Comedy", "Drama", "Horror")
USERS, FILMS, EACH = 80, 48, 12
IDS = {"user": USERS + 1, "gender": 3, "occupation": 5, "zip_region": 4, "item": FILMS + 1}


@pytest.fixture(scope="module")
def watched() -> dict[str, Any]:
    """Users watch films of the genre that their occupation likes."""
    random = np.random.default_rng(1)
    users = np.repeat(np.arange(USERS), EACH)
    liked = users % len(GENRES)
    genre = np.where(random.random(len(users)) < 0.85, liked, random.integers(0, len(GENRES), len(users)))
    items = genre + len(GENRES) * random.integers(0, FILMS // len(GENRES), len(users))
    return {"user": users, "occupation": liked, "item": items, "genre": genre}


def features_of(watched: dict[str, Any]) -> dict[str, Any]:
    """As features.py returns them, with ids instead of vocabularies."""
    rows = len(watched["user"])
    genres = np.zeros((rows, 18), np.float32)
    genres[np.arange(rows), watched["genre"]] = 1
    zeros = np.zeros(rows, np.int64)
    return {
        **{name: watched[name] for name in ("user", "occupation", "item")},
        **{"gender": zeros, "zip_region": zeros, "genres": genres},
        **{name: np.zeros((rows, size), np.float32) for name, size in (("ages", 5), ("decades", 7), ("words", 256))},
    }


@pytest.fixture(scope="module")
def towers(watched: dict[str, Any]) -> Any:
    arrays = features_of(watched)
    schema = ModelSchema(
        {name: Feature(name, a.dtype.name, a.shape[1:], IDS.get(name)) for name, a in arrays.items()},
        "retrieval",
        None,
        task_options=load_workload(FOLDER).task_options.model_dump(),
        query="user",
        interactions=np.stack([watched["user"], watched["item"]], axis=1),
    )
    build: Callable[..., Any] = user_code.load_function(str(FOLDER / "model.py"), "build_model")
    model = build(schema, load_workload(FOLDER).training.hyperparameters)
    model.compile("adam", schema.kind.loss(schema))
    model.fit(arrays, watched["item"].astype(np.float32), batch_size=64, epochs=15, verbose=0)
    return model


def test_films_are_known_by_genres_and_words() -> None:
    years = tf.sparse.SparseTensor([[0, 0]], tf.constant([1994], tf.int64), [2, 1])
    module = user_code.load_function(str(FOLDER / "features.py"), "preprocessing_fn").__globals__
    with pytest.MonkeyPatch.context() as patch:
        # Vocabularies are TFT's, and need an analysis; the rest is plain TensorFlow.
        patch.setattr(module["tft"], "compute_and_apply_vocabulary", lambda column, **_: column)
        found = module["preprocessing_fn"](
            {
                **{name: tf.constant([b"a", b"b"]) for name in ("user", "gender", "occupation", "zip_region", "item")},
                "age": tf.constant([17, 30], tf.int64),
                "year": years,
                "title": tf.constant(["Toy Story", "story, TOY toy"]),
                "genres": tf.constant(["Comedy|Western", "unknown"]),
            }
        )
    assert found["genres"].numpy().sum(axis=1).tolist() == [2, 0]
    assert found["ages"].numpy().tolist() == [[0] * 5, [1, 1, 0, 0, 0]]
    assert found["decades"].numpy().sum(axis=1).tolist() == [7, 0]
    np.testing.assert_array_equal(found["words"][0], found["words"][1])
    assert found["words"].shape == (2, 256) and found["words"].numpy()[0].sum() == 2


def test_somebody_new_is_answered_by_profile(towers: Any) -> None:
    kinds = np.arange(len(GENRES))
    new = features_of({"user": np.full(4, USERS), "occupation": kinds, "item": kinds, "genre": kinds})
    films = features_of(
        {
            "user": np.zeros(FILMS, int),
            "occupation": np.zeros(FILMS, int),
            "item": np.arange(FILMS),
            "genre": np.arange(FILMS) % 4,
        }
    )
    scores = np.asarray(towers.queries(new)) @ np.asarray(towers.items(films)).T
    best = np.argsort(-scores, axis=1)[:, :10] % len(GENRES)
    assert (best == kinds[:, np.newaxis]).mean() > 0.7


def test_a_new_film_is_found_by_its_genres(towers: Any) -> None:
    kinds = np.arange(len(GENRES))
    pairs = features_of({"user": kinds, "occupation": kinds, "item": np.full(4, FILMS), "genre": kinds})
    scores = np.asarray(towers.queries(pairs)) @ np.asarray(towers.items(pairs)).T
    assert scores.argmax(axis=1).tolist() == kinds.tolist()


def test_the_linear_method_answers_what_was_not_watched(watched: dict[str, Any]) -> None:
    class Task:
        class options:
            top_k = 20
            item = "item"

    ease = user_code.load_function(str(FOLDER / "baseline.py"), "ease")
    lists = ease(pa.table(watched), pa.table({"user": np.arange(USERS)}), Task)
    had = set(zip(watched["user"].tolist(), watched["item"].tolist(), strict=True))
    assert lists.shape == (USERS, 20)
    assert not any((user, film) in had for user, row in enumerate(lists.tolist()) for film in row[:10])


def test_the_data_keeps_its_contracts(case: Callable[[str], Any]) -> None:
    rows = case("recommender").rows()
    assert case("recommender").anomalies(rows) == {}
    assert case("recommender").failed_expectations(rows) == []
