"""A real SavedModel and its release: the answers to items do not depend on which others they are answered with."""

from __future__ import annotations

import base64
import json
import math
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.queue import answering, rows
from pipelines.queue.answering import Answered, Following, Release
from pipelines.queue.items import Item
from spec.errors import InputError, TryAgainError


@pytest.fixture(scope="module")
def release(store, tmp_path_factory) -> Release:
    return Release(store, "tips", 1, tmp_path_factory.mktemp("fetched"))


def tip(fare: float, kind: str, weight: float = 0.1) -> float:
    return 1 / (1 + math.exp(-(weight * (fare - 15) + (2 if kind == "card" else -2))))


CARD = {"fare": 20.0, "miles": 1.5, "kind": "card"}
ITEMS = [
    Item("good", [CARD, {"fare": 5, "kind": "cash"}]),  # `miles` may be left out
    Item("partly", [{"fare": "dear", "kind": "cash"}, CARD, 7]),
    Item("no-kind", [{"fare": 5}]),
    Item("all-null", [{"fare": None, "miles": None, "kind": None}]),
    Item("more", [{**CARD, "note": {"deep": [1]}}]),
    Item("bytes", [{**CARD, "kind": {"b64": base64.b64encode(b"card").decode()}}]),
    Item("no-base64", [{**CARD, "kind": {"b64": "?"}}]),
]


def gist(found: Answered | InputError) -> object:
    return str(found) if isinstance(found, InputError) else found.table.to_pylist()


def test_items_together_are_answered_as_each_alone(release, tmp_path) -> None:
    plain = [item for item in ITEMS if not rows.has_bytes(item.rows or ())]
    together = release.answer(plain, tmp_path)
    alone = [release.answer([item], tmp_path)[0] for item in plain]
    assert [gist(one) for one in together] == [gist(one) for one in alone]
    assert list(tmp_path.iterdir()) == []


def test_every_row_has_its_answer_or_a_reason(release, tmp_path) -> None:
    found = {item.id: release.answer([item], tmp_path)[0] for item in ITEMS}
    table = found["good"].table
    assert table.column_names == ["item", "row", "probability", "label", "model_version", "column", "reason"]
    assert [(one["item"], one["row"], one["model_version"], one["reason"]) for one in table.to_pylist()] == [
        ("good", 1, 1, None),
        ("good", 2, 1, None),
    ]
    assert table["probability"].to_pylist() == pytest.approx([tip(20, "card"), tip(5, "cash")], abs=1e-6)
    partly = found["partly"]
    assert partly.failed == 2 and [one["probability"] is None for one in partly.table.to_pylist()] == [
        True,
        False,
        True,
    ]
    assert partly.table["column"].to_pylist()[0] == "fare" and "string" in partly.table["reason"].to_pylist()[0]
    assert "column 'kind': has no value" in str(found["no-kind"]) and "none of 1 rows" in str(found["all-null"])
    assert found["bytes"].table["probability"].to_pylist() == pytest.approx([tip(20, "card")], abs=1e-6)
    assert "column 'kind': its values do not make a column" in str(found["no-base64"])


def test_rows_of_files(release, tmp_path) -> None:
    pq.write_table(pa.Table.from_pylist([CARD] * 3), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text(json.dumps(CARD) + "\n\n{broken\n")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])

    def answer(name: str) -> Answered | InputError:
        return release.answer([Item("x", uri=str(tmp_path / name), format=name.rpartition(".")[2])], tmp_path)[0]

    assert answer("a.parquet").table["row"].to_pylist() == [1, 2, 3]
    assert answer("a.jsonl").failed == 1
    for name, why in (("cut.parquet", "not a whole Parquet file"), ("gone.jsonl", "cannot be read: .*No such file")):
        with pytest.raises(InputError, match=f"{tmp_path / name}: {why}"):
            raise answer(name)


@pytest.mark.slow  # its client tries for ten seconds
def test_a_store_that_does_not_answer_is_no_items_fault(release, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    with pytest.raises(TryAgainError, match=r"s3://bucket/a\.jsonl: cannot be read now"):
        release.answer([Item("x", uri="s3://bucket/a.jsonl", format="jsonl")], tmp_path)


def test_a_label_is_followed_and_a_release_that_does_not_load_does_not_take_over(store, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(answering, "_LOOK_S", 0.0)
    said: list[str] = []
    store.set_label("tips", "trial", 1, reason="test", actor="test")
    following = Following(store, "tips", "trial", tmp_path, said.append)
    fixed = Following(store, "tips", "1", tmp_path / "fixed", said.append)
    assert following.now().version == 1
    store.set_label("tips", "trial", 2, reason="test", actor="test")
    (found,) = following.now().answer([Item("x", [CARD])], tmp_path)
    assert isinstance(found, Answered) and found.table["model_version"].to_pylist() == [2]
    assert found.table["probability"].to_pylist() == pytest.approx([tip(20, "card", 0.5)], abs=1e-6)
    store.remove_label("tips", "trial", reason="test", actor="test")
    assert following.now().version == following.now().version == 2 and fixed.now().version == 1
    store.set_label("tips", "trial", 1, reason="test", actor="test")
    published = pathlib.Path(store.uri) / "tips" / "1" / "saved_model.pb"
    content = published.read_bytes()
    published.write_bytes(content + b"x")
    try:
        assert following.now().version == following.now().version == 2
    finally:
        published.write_bytes(content)
    assert said[0] == "release 2 is trial now, and answers"
    assert [text.partition(":")[0] for text in said[1:]] == ["release 2 goes on answering"] * 2
