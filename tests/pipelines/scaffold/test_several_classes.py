"""`trainyard new` where a row has several classes: lists in Parquet and JSON, or one text with a mark between them."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from components.schema import classes_of, feature_of, has_lists, read_schema
from pipelines.scaffold.creating import create
from pipelines.scaffold.request import Request
from spec.errors import InputError
from spec.workload import load_workload

pytestmark = pytest.mark.usefixtures("places")
CLASSES = ["art", "sport", "trade"]


def rows(count: int = 200) -> pa.Table:
    x = np.random.default_rng(0).normal(size=(count, 3)).round(3)
    topics = [[name for name, value in zip(CLASSES, row, strict=True) if value > 0.3] for row in x]
    return pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "topics": topics})


def _as_text(table: pa.Table, mark: str) -> pa.Table:
    texts = [mark.join(one) for one in table["topics"].to_pylist()]
    return table.set_column(3, "topics", pa.array(texts))


def test_lists_make_a_task_for_them(places: pathlib.Path) -> None:
    pq.write_table(rows(), places / "articles.parquet")
    created = create(Request("demo", str(places / "articles.parquet"), "topics"))
    assert "Task: multilabel (a row has a list of labels" in "\n".join(created.story)
    schema = read_schema(str(created.schemas))
    assert classes_of(schema, "topics") == CLASSES and has_lists(feature_of(schema, "topics"))
    workload = load_workload(created.workload)
    assert workload.task == "multilabel" and workload.data.label.separator == ""
    assert [one.metric for one in workload.evaluation.thresholds] == ["macro_auc"]
    suite = json.loads((created.schemas / "expectations.json").read_text())["expectations"]
    about = [one["type"] for one in suite if one["kwargs"].get("column") == "topics"]
    assert about == ["expect_column_values_to_not_be_null"]


def test_lists_of_json_and_its_own_test(places: pathlib.Path) -> None:
    lines = "\n".join(json.dumps(row) for row in rows().to_pylist())
    (places / "articles.jsonl").write_text(lines)
    created = create(Request("demo", str(places / "articles.jsonl"), "topics"))
    assert load_workload(created.workload).data.format == "jsonl"
    assert created.label.outputs == 3
    code = pytest.main(["-q", "-p", "no:cacheprovider", os.fspath(created.test)])
    assert code == 0


@pytest.mark.parametrize("mark", [";", "|"])
def test_a_text_is_divided_where_that_is_asked_for(places: pathlib.Path, mark: str) -> None:
    table = rows()
    of_none = sum(not one for one in table["topics"].to_pylist())
    assert of_none
    pyarrow.csv.write_csv(_as_text(table, mark), places / "articles.csv")
    created = create(Request("demo", str(places / "articles.csv"), "topics", task="multilabel"))
    workload = load_workload(created.workload)
    story = "\n".join(created.story)
    assert workload.data.label.separator == mark and f"divided by {mark!r}" in story
    assert f"{of_none} rows have none" in story
    assert classes_of(read_schema(str(created.schemas)), "topics") == CLASSES


def test_an_empty_text_is_no_missing_label(places: pathlib.Path) -> None:
    """A run reads it as a row of none; what is left out there says that it is missing."""
    table = rows()
    pyarrow.csv.write_csv(_as_text(table, ";"), places / "articles.csv")
    created = create(Request("demo", str(places / "articles.csv"), "topics", task="multilabel", drop_unlabelled=True))
    assert f"{table.num_rows} rows, 4 columns" in created.story[0] and "Left out" not in "\n".join(created.story)


def test_texts_that_look_like_lists_are_pointed_out(places: pathlib.Path) -> None:
    pyarrow.csv.write_csv(_as_text(rows(), ";"), places / "articles.csv")
    created = create(Request("demo", str(places / "articles.csv"), "topics", drop_unlabelled=True))
    assert created.label.task == "multiclass"
    (line,) = [line for line in created.story if line.startswith("Task:")]
    assert "looks like several classes, which are for --task multilabel" in line


def test_a_label_of_one_class_is_refused(places: pathlib.Path) -> None:
    table = rows().set_column(3, "topics", pa.array(["art", "sport"] * 100))
    pyarrow.csv.write_csv(table, places / "articles.csv")
    with pytest.raises(InputError, match=r"has one class a row.*Use multiclass"):
        create(Request("demo", str(places / "articles.csv"), "topics", task="multilabel"))
