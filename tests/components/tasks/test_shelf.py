"""Search inside of the graph, against NumPy."""

from __future__ import annotations

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

import vector_index
from components.tasks._retrieval_options import IndexOptions
from components.tasks._shelf import Shelf
from components.tasks._stock import ITEMS_FILE, Stock
from components.tasks.catalogue import Catalogue, Seen, as_text

ITEMS, WIDTH, TOP = 40, 4, 25
EMBEDDINGS = np.random.default_rng(0).normal(size=(ITEMS, WIDTH)).astype(np.float32)
# ann has had one item, ben all but ten, and somebody new none.
HAD = {"ann": [7], "ben": list(range(30))}


def stock() -> Stock:
    users = pa.array([user for user, had in HAD.items() for _ in had])
    seen = Seen.of(users, np.concatenate(list(HAD.values())), "user")
    ids = as_text(np.arange(100, 100 + ITEMS))
    return Stock(Catalogue(pa.table({"id": ids}), ids, np.ones(ITEMS, np.int64), seen), EMBEDDINGS)


def expected(query: np.ndarray, candidates: list[int], had: list[int]) -> list[bytes]:
    left = [place for place in candidates if place not in had]
    order = sorted(left, key=lambda place: -float(EMBEDDINGS[place] @ query))[:TOP]
    return [f"{100 + place}".encode() for place in order] + [b""] * (TOP - len(order))


def test_the_best_of_some_items_are_those_of_all_that_were_not_seen() -> None:
    shelf, users = Shelf(stock()), ["ann", "new", "ben", "ann"]
    queries = np.random.default_rng(1).normal(size=(4, WIDTH)).astype(np.float32)
    random = np.random.default_rng(2)
    candidates = np.stack([random.permutation(ITEMS)[:30] for _ in users])
    candidates[3, 20:] = -1
    had = [HAD.get(user, []) for user in users]
    found = shelf.best_of(queries, tf.constant(candidates), TOP, shelf.seen(tf.constant(users)))
    for row in range(4):
        given = [place for place in candidates[row].tolist() if place >= 0]
        assert found["items"][row].numpy().tolist() == expected(queries[row], given, had[row])
    # ben's list is short because some of his ten were no candidates; the last row had twenty candidates.
    assert found["complete"].numpy().tolist() == [True, True, False, False]
    every = tf.tile(tf.range(ITEMS, dtype=tf.int64)[tf.newaxis], [4, 1])
    whole = shelf.best_of(queries, every, TOP, shelf.seen(tf.constant(users)))
    exact = shelf.answer(tf.constant(queries), TOP, shelf.seen(tf.constant(users)))
    assert whole.pop("complete").numpy().all()
    assert whole["items"].numpy().tolist() == exact["items"].numpy().tolist()
    np.testing.assert_allclose(whole["scores"], exact["scores"], rtol=1e-5)


def test_fewer_candidates_than_are_answered() -> None:
    shelf = Shelf(stock())
    found = shelf.best_of(EMBEDDINGS[:1], tf.constant([[3, 4]], tf.int64), TOP, shelf.nothing(tf.zeros([1, WIDTH])))
    assert found["items"].shape == (1, TOP) and set(found["items"][0].numpy()) == {b"103", b"104", b""}
    assert not found["complete"][0]


def test_what_lies_beside_the_saved_model(tmp_path: pathlib.Path) -> None:
    goods = stock()
    goods.write_items(tmp_path)
    table = pq.read_table(tmp_path / ITEMS_FILE)
    assert table["id"].to_pylist() == goods.catalogue.ids.tolist()
    np.testing.assert_array_equal(np.stack(table["embedding"].to_pylist()), EMBEDDINGS)
    goods.write_index(tmp_path, 8, IndexOptions())
    index = vector_index.find(tmp_path)
    assert index is not None and index.candidates == 8
    assert goods.had_by_most == 29, "of one and thirty, the quantile is 28.55"
