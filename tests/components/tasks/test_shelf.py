"""Search inside of the graph, against NumPy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components.tasks import _shelf
from components.tasks._stock import Stock
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
    stock = Stock(catalogue, items, pa.array([f"l{place % 3}" for place in range(ITEMS)]))
    return _shelf.Shelf(stock), items, queries, had


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


@pytest.mark.parametrize("count", [5, 20])
def test_the_best_of_some_items(made: tuple[_shelf.Shelf, np.ndarray, np.ndarray, list[set[int]]], count: int) -> None:
    """Whether they are more or fewer than are answered, in any order, and some of them none."""
    shelf, items, queries, had = made
    random = np.random.default_rng(1)
    candidates = np.stack([random.permutation(ITEMS)[:16] for _ in queries])
    candidates[1, 10:] = -1
    answer = tf.function(lambda q, among, ids: shelf.best_of(q, among, count, shelf.seen(ids)))
    found = answer(tf.constant(queries, tf.float32), candidates, tf.range(QUERIES, dtype=tf.int64) * 10)
    scores = queries @ items.T
    for query in range(QUERIES):
        left = [place for place in candidates[query].tolist() if place >= 0 and place not in had[query]]
        best = sorted(left, key=lambda place: -scores[query, place])[:count]
        empty = count - len(best)
        assert found["items"][query].numpy().tolist() == [f"i{one}".encode() for one in best] + [b""] * empty
        np.testing.assert_allclose(found["scores"][query][: len(best)], scores[query][best], rtol=1e-5, atol=1e-5)
        assert found["complete"][query].numpy() == (len(best) >= min(count, ITEMS - len(had[query])))
    assert found["complete"].numpy().any() == (count == 5)


def test_the_best_of_all_items_is_what_search_finds(
    made: tuple[_shelf.Shelf, np.ndarray, np.ndarray, list[set[int]]],
) -> None:
    shelf, _, queries, _ = made
    vectors, seen = tf.constant(queries, tf.float32), shelf.seen(tf.range(QUERIES, dtype=tf.int64) * 10)
    found = shelf.best_of(vectors, tf.tile(tf.range(ITEMS, dtype=tf.int64)[tf.newaxis], [QUERIES, 1]), 25, seen)
    assert found.pop("complete").numpy().all()
    exact = shelf.answer(vectors, 25, seen)
    assert set(found) == set(exact) and (found["items"].numpy() == exact["items"].numpy()).all()


def test_where_nobody_has_had_anything() -> None:
    ids = np.array(["a", "b"], object)
    shelf = _shelf.Shelf(Stock(Catalogue(pa.table({}), ids, np.ones(2, np.int64), Seen.none()), np.eye(2)))
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
