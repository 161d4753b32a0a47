"""Labels that a person has to look at: other spellings of a class, and none at all."""

from __future__ import annotations

import pathlib
import sys

import pyarrow as pa
import pytest

from cli import scaffold as cli
from components.ingestion.contract import Column
from components.ingestion.labels import labelled
from components.ingestion.readers import read_file
from components.ingestion.rewriting import Spellings
from pipelines.scaffold import creating
from pipelines.scaffold.spelling import Undecided, settle


def _table(*labels: str | None) -> pa.Table:
    return pa.table({"a": range(len(labels)), "y": pa.array(labels, pa.string())})


def test_spellings_are_named_and_asked_about() -> None:
    table = _table("yes", "yes", "YES", "yes ", "no", "No")
    with pytest.raises(
        Undecided, match=r"'yes' \(2 rows\), 'YES' \(1 row\), 'yes ' \(1 row\); 'no'.*--merge-labels"
    ) as e:
        settle(table, "y", merge=False, drop=False)
    assert e.value.option == "merge_labels"


def test_merged_the_most_frequent_spelling_without_spaces_stands_for_all() -> None:
    table, done = settle(_table("yes ", "yes ", "yes ", "YES", "YES", "yes", "no"), "y", merge=True, drop=False)
    assert table.column("y").to_pylist() == ["YES"] * 6 + ["no"]
    assert done == ["One class: 'yes ' (3), 'YES' (2), 'yes' (1): 'YES'"]


def test_rows_without_a_label_are_asked_about_and_left_out() -> None:
    table = _table("a", None, " ", "b")
    with pytest.raises(Undecided, match=r"2 of 4 rows have none \(row 2, 3\)\. .*--drop-unlabelled"):
        settle(table, "y", merge=False, drop=False)
    kept, done = settle(table, "y", merge=False, drop=True)
    assert kept.column("a").to_pylist() == [0, 3]
    assert done == ["Left out: 2 rows without a label"]


def test_labels_that_differ_in_more_are_left_alone() -> None:
    table, done = settle(_table("a", "b", "a b"), "y", merge=False, drop=False)
    assert table.num_rows == 3
    assert not done


def test_a_run_reads_every_spelling_as_the_schemas(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('y\nYES\n" yes "\nno\nmaybe\n""\n')
    column = Column("y", pa.string(), False, False, Spellings(("yes", "no")))
    (batch,) = read_file(path, "csv", [column], ())
    assert batch.column("y").to_pylist() == ["yes", "yes", "no", "maybe", None]
    assert labelled(batch.column("y")).to_pylist() == [True] * 4 + [False]


def test_at_a_terminal_a_person_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[creating.Request] = []

    def create(request: creating.Request) -> str:
        requests.append(request)
        if not request.merge_labels:
            raise Undecided("message", "merge_labels", "Are they one class?")
        return "made"

    answers = iter(["y", "n"])
    monkeypatch.setattr(creating, "create", create)
    monkeypatch.setattr("builtins.input", lambda question: next(answers))
    request = creating.Request("demo", "data.csv", "y")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    assert cli._create(request) == "made"
    with pytest.raises(Undecided):
        cli._create(request)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(Undecided):
        cli._create(request)
    assert len(requests) == 4
