"""Against the same search by hand: which rows the index answers, and which exact search."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np
import pytest

import vector_index
from vector_index import _answering

ITEMS = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
TOP = 4
Tensors = dict[str, np.ndarray]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    vector_index.build(tmp_path, ITEMS, 2 * TOP, 16, 100, 200)
    return tmp_path


def best(vectors: np.ndarray, had: np.ndarray, candidates: np.ndarray) -> Tensors:
    """Of each row's candidates those from place `had` on."""
    scores = np.einsum("nd,ncd->nc", vectors, ITEMS[candidates])
    scores = np.where(candidates < had[:, np.newaxis], -np.inf, scores)
    first = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
    names = np.take_along_axis(candidates, first, 1).astype("S")
    scores = np.take_along_axis(scores, first, 1)
    return {"items": np.where(np.isinf(scores), b"", names), "scores": scores, "complete": np.isfinite(scores).all(1)}


class Model:
    """Signatures of a model whose queries are vectors; `asked` has the rows of each call."""

    def __init__(self) -> None:
        self.asked: dict[str, list[int]] = {}

    def entry(self, name: str) -> vector_index.Entry:
        inputs = {"query_embedding": ["vector"], "rank_candidates": ["had", "embedding", "candidates"]}

        def call(given: Mapping[str, np.ndarray]) -> Tensors:
            wanted = inputs.get(name, ["vector", "had"])
            assert set(given) == set(wanted)
            rows = len(given[wanted[0]])
            self.asked.setdefault(name, []).append(rows)
            if name == "query_embedding":
                return {"embedding": given["vector"]}
            if name == "rank_candidates":
                return best(given["embedding"], given["had"], given["candidates"])
            found = best(given["vector"], given["had"], np.tile(np.arange(len(ITEMS)), (rows, 1)))
            return {one: found[one] for one in ("items", "scores")}

        return vector_index.Entry(inputs.get(name, ["vector", "had"]), [], call)


def test_rows_that_have_seen_too_much_are_searched_exactly(folder: pathlib.Path) -> None:
    model, vectors = Model(), ITEMS[[5, 50, 99]] + np.float32(0.1)
    had = np.array([0, 390, 3])
    answer = vector_index.answering(folder, model.entry)
    assert answer is not None
    found = answer({"vector": vectors, "had": had})
    exact = model.entry("serving_default").call({"vector": vectors, "had": had})
    assert set(found) == {"items", "scores"}
    assert found["items"].tolist() == exact["items"].tolist()
    np.testing.assert_allclose(found["scores"], exact["scores"])
    assert model.asked == {"query_embedding": [3], "rank_candidates": [3], "serving_default": [1, 3]}


def test_many_rows_are_answered_by_parts(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_answering, "_MOST_NUMBERS", 3 * 2 * TOP * 8)
    model = Model()
    answer = vector_index.answering(folder, model.entry)
    assert answer is not None
    given = {"vector": ITEMS[:7], "had": np.zeros(7, int)}
    found = answer(given)
    assert model.asked["rank_candidates"] == [3, 3, 1]
    assert found["items"].tolist() == model.entry("serving_default").call(given)["items"].tolist()
    assert answer({"vector": ITEMS[:0], "had": np.zeros(0, int)})["items"].shape == (0, TOP)


def test_without_an_index_nothing_answers_in_place(tmp_path: pathlib.Path) -> None:
    assert vector_index.answering(tmp_path / "none", Model().entry) is None
