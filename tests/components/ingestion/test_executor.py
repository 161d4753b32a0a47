"""ColumnarExampleGen's executor: quarantine, its limit, and counts that add up."""

from __future__ import annotations

import json
import pathlib

import pyarrow.parquet as pq
import pytest

from components.columnar import read_split
from spec.errors import InputError
from spec.splits import SPLITS
from spec.workload import Split


def rows(count: int, *bad: str) -> str:
    return "id,price\n" + "\n".join([*(f"{i},{i}" for i in range(count)), *bad]) + "\n"


FILES = {"a.csv": rows(150, "7,dear", "8"), "b.csv": rows(50, "9,")}


def test_bad_rows_go_into_the_side_file_and_are_counted(ingest) -> None:
    examples = ingest(FILES, on_bad_rows="quarantine", max_bad_fraction=0.02)
    uri = pathlib.Path(examples.uri)
    kept = sum(read_split(uri, split).num_rows for split in SPLITS)
    side = pq.read_table(uri / "quarantine.parquet")
    assert (kept, side.num_rows) == (200, 3)
    assert [pathlib.Path(file).name for file in side["file"].to_pylist()] == ["a.csv", "a.csv", "b.csv"]
    assert side["row"].to_pylist() == [151, 152, 51] and side["column"].to_pylist() == ["price", None, "price"]
    assert examples.get_int_custom_property("rows_quarantined") == 3
    assert examples.get_int_custom_property("rows_in") == 203
    assert examples.get_int_custom_property("rows_out") == 200
    assert json.loads(examples.get_string_custom_property("spans"))[0]["rows"] == 200
    summary = json.loads(examples.get_string_custom_property("quarantine"))
    assert (summary["rows"], summary["by_column"]) == (3, {"price": 2, "": 1})
    assert summary["first"][0]["row"] == 151 and "dear" in summary["first"][0]["reason"]


def test_too_many_bad_rows_end_the_run(ingest) -> None:
    with pytest.raises(
        InputError, match=r"3 of 203 rows \(1\.48%\).*max_bad_fraction.*a\.csv, row 151, column 'price'"
    ):
        ingest(FILES, on_bad_rows="quarantine")


def test_the_side_file_outlives_the_run_that_it_ended(ingest) -> None:
    with pytest.raises(InputError) as caught:
        ingest(FILES, on_bad_rows="quarantine")
    (kept,) = (pathlib.Path(word.rstrip(".")) for word in str(caught.value).split() if "quarantine.parquet" in word)
    assert pq.read_table(kept)["row"].to_pylist() == [151, 152, 51]
    gate = json.loads((kept.parent / "gate.json").read_text())
    assert not gate["passes"] and gate["checks"][0]["diagnostics"]["rows"] == 3


def test_the_default_is_to_fail(ingest) -> None:
    with pytest.raises(InputError, match=r"a\.csv"):
        ingest(FILES)


def test_good_data_leave_no_side_file(ingest) -> None:
    examples = ingest({"a.csv": rows(100)}, on_bad_rows="quarantine")
    assert not (pathlib.Path(examples.uri) / "quarantine.parquet").exists()
    assert examples.get_int_custom_property("rows_quarantined") == 0


def test_a_split_by_time_reads_past_bad_rows(ingest) -> None:
    examples = ingest(FILES, on_bad_rows="quarantine", max_bad_fraction=0.1, split=Split(time="id", test_fraction=0.1))
    assert examples.get_int_custom_property("rows_quarantined") == 3
    assert min(read_split(examples.uri, "test")["id"].to_pylist()) > 100


@pytest.mark.parametrize(
    ("content", "fields", "says"),
    [
        (rows(2), {}, r"no row fell into the \w+ split \(train \d, eval \d, test \d\)\. Deliver more rows, or raise"),
        (
            "id,price\n1,1\n2,2\n2,3\n",
            {"split": Split(time="id")},
            "into the train split .* three times or more are needed",
        ),
        (
            "id,price,part\n1,1,train\n2,2,train\n",
            {"split": Split(column="part")},
            "The column has to name rows for train, and for test or eval",
        ),
    ],
)
def test_a_split_without_rows_is_one_line(ingest, content: str, fields: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ingest({"a.csv": content}, **fields)
