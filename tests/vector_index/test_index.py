from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import vector_index
from spec.errors import InputError

FOLDER = pathlib.Path("assets.extra") / "index"
ITEMS = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)


def build(folder: pathlib.Path, items: np.ndarray = ITEMS, ef_search: int = 100) -> pathlib.Path:
    vector_index.build(folder, items, 20, 16, 100, ef_search)
    return folder


def test_it_finds_what_is_nearest(tmp_path: pathlib.Path) -> None:
    queries = np.random.default_rng(1).normal(size=(50, 16)).astype(np.float32)
    nearest = np.argsort(-(queries @ ITEMS.T), axis=1)[:, :20]
    shares = []
    for ef_search in (20, 400):
        index = vector_index.find(build(tmp_path / str(ef_search), ef_search=ef_search))
        assert index is not None and (index.candidates, index.dimensions) == (20, 16)
        found = index.search(queries)
        shares.append(np.mean([len({*ours} & {*theirs}) / 20 for ours, theirs in zip(found, nearest, strict=True)]))
    assert shares[1] > 0.99 and shares[1] > shares[0], shares


def test_fewer_items_than_are_looked_for(tmp_path: pathlib.Path) -> None:
    index = vector_index.find(build(tmp_path, ITEMS[:5]))
    assert index is not None and sorted(index.search(ITEMS[:1])[0].tolist()) == [0, 1, 2, 3, 4]


def test_the_same_items_give_the_same_bytes(tmp_path: pathlib.Path) -> None:
    one, other = (build(tmp_path / name) / FOLDER / "hnsw.faiss" for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_without_an_index_there_is_none(tmp_path: pathlib.Path) -> None:
    assert vector_index.find(tmp_path) is None


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("index.json", None, "No such file"),
        ("index.json", b"{", "cannot be read"),
        ("index.json", b'{"format": 1}', "no field 'items'"),
        ("index.json", {"format": 7}, "its format is 7, this Trainyard reads 1"),
        ("index.json", {"items": 2999}, "holds 3000 items of 16 numbers instead of 2999 of 16"),
        ("hnsw.faiss", b"not a graph", "cannot be read"),
        ("hnsw.faiss", None, "cannot be read"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: pathlib.Path, file: str, content: object, says: str) -> None:
    path = build(tmp_path) / FOLDER / file
    before = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(
            content if isinstance(content, bytes) else json.dumps({**json.loads(before), **content}).encode()
        )  # type: ignore[dict-item]
    with pytest.raises(InputError, match="train anew") as raised:
        vector_index.find(tmp_path)
    assert says in str(raised.value) and "\n" not in str(raised.value)
