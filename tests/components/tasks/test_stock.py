"""What lies beside a SavedModel."""

from __future__ import annotations

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import vector_index
from components.tasks._retrieval_options import IndexOptions
from components.tasks._stock import ITEMS_FILE, Stock
from components.tasks.catalogue import Catalogue, Seen, as_text

EMBEDDINGS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
IDS = as_text(np.arange(100, 140))


def stock(had: list[int], labels: pa.Array | None = None) -> Stock:
    """Users of whom each has had so many items."""
    users = pa.array(np.repeat(np.arange(len(had)), had))
    seen = Seen.of(users, np.concatenate([np.arange(count) for count in had]), "user")
    return Stock(Catalogue(pa.table({"id": IDS}), IDS, np.ones(40, np.int64), seen), EMBEDDINGS, labels)


def test_items_are_there_by_place_with_their_embeddings(tmp_path: pathlib.Path) -> None:
    stock([1]).write_items(tmp_path)
    table = pq.read_table(tmp_path / ITEMS_FILE)
    assert table.column_names == ["id", "embedding"] and table["id"].to_pylist() == IDS.tolist()
    np.testing.assert_array_equal(np.stack(table["embedding"].to_pylist()), EMBEDDINGS)
    stock([1], pa.array([f"l{place % 3}" for place in range(40)])).write_items(tmp_path)
    assert pq.read_table(tmp_path / ITEMS_FILE)["label"].to_pylist()[:4] == ["l0", "l1", "l2", "l0"]


def test_an_index_finds_as_many_as_are_asked_for(tmp_path: pathlib.Path) -> None:
    stock([1]).write_index(tmp_path, 8, IndexOptions())
    index = vector_index.find(tmp_path)
    assert index is not None and index.candidates == 8


def test_what_most_have_had() -> None:
    assert stock([1, 30]).had_by_most == 29, "the quantile is 28.55"
    assert Stock(Catalogue(pa.table({}), IDS, np.ones(40, np.int64), Seen.none()), EMBEDDINGS).had_by_most == 0
