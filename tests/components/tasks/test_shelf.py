"""Exact search inside of the graph, against NumPy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components.tasks import _shelf
from components.tasks.catalogue import Catalogue, Seen

ITEMS, WIDTH, QUERIES = 30, 4, 17


@pytest.fixture(scope="module")
def made() -> tuple[_shelf.Shelf, np.ndarray, np.ndarray, list[set[int]]]:
    """The shelf, embeddings of items and of queries, and what each query has had: the last two nothing."""
    random = np.random.default_rng(0)
    items, queries = random.normal(size=(ITEMS, WIDTH)), random.normal(size=(QUERIES, WIDTH))
    had = [set(random.choice(ITEMS, 1 + number, replace=False).tolist()) for number in range(QUERIES - 2)] + [
        set(),
        set(),
    ]
    pairs = np.array([(query, place) for query, places in enumerate(had) for place in places])
    seen = Seen.of(pa.array(pairs[:, 0] * 10), pairs[:, 1], "user")
    ids = np.array([f"i{place}" for place in range(ITEMS)], object)
    catalogue = Catalogue(pa.table({}), ids, np.ones(ITEMS, np.int64), seen)
    return _shelf.Shelf(catalogue, items, pa.array([f"l{place % 3}" for place in range(ITEMS)])), items, queries, had


@pytest.mark.parametrize("most_scores", [2**25, ITEMS * 5, 1])
@pytest.mark.parametrize("count", [5, 40])
def test_the_nearest_that_are_not_seen(
    made: tuple[_shelf.Shelf, np.ndarray, np.ndarray, list[set[int]]],
    most_scores: int,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_shelf, "_MOST_SCORES", most_scores)
    shelf, items, queries, had = made
    answer = tf.function(lambda q, ids: shelf.answer(q, count, shelf.seen(ids)))
    found = answer(tf.constant(queries, tf.float32), tf.range(QUERIES, dtype=tf.int64) * 10)
    scores = queries @ items.T
    for query in range(QUERIES):
        left = [place for place in np.argsort(-scores[query]) if place not in had[query]][:count]
        empty = count - len(left)
        assert found["items"][query].numpy().tolist() == [f"i{one}".encode() for one in left] + [b""] * empty
        assert found["labels"][query].numpy().tolist() == [f"l{one % 3}".encode() for one in left] + [b""] * empty
        np.testing.assert_allclose(found["scores"][query][: len(left)], scores[query][left], rtol=1e-5, atol=1e-5)
        assert np.isfinite(found["scores"][query]).all()


def test_where_nobody_has_had_anything() -> None:
    ids = np.array(["a", "b"], object)
    shelf = _shelf.Shelf(Catalogue(pa.table({}), ids, np.ones(2, np.int64), Seen.none()), np.eye(2))
    found = shelf.answer(tf.constant([[0.0, 1.0]]), 2, shelf.seen(tf.constant(["u"])))
    assert found["items"].numpy().tolist() == [[b"b", b"a"]] and set(found) == {"items", "scores"}


def test_no_query_at_all(made: tuple[_shelf.Shelf, np.ndarray, np.ndarray, list[set[int]]]) -> None:
    shelf = made[0]
    assert shelf.answer(tf.zeros([0, WIDTH]), 5, shelf.seen(tf.zeros([0], tf.int64)))["items"].shape == (0, 5)


def test_an_item_is_not_like_itself(made: tuple[_shelf.Shelf, np.ndarray, np.ndarray, list[set[int]]]) -> None:
    shelf, items, _, _ = made
    found = shelf.answer(tf.constant(items[:2], tf.float32), ITEMS, shelf.itself(tf.constant(["i0", "new"])))[
        "items"
    ].numpy()
    assert b"i0" not in found[0] and found[1, -1] != b""
