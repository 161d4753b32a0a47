"""Columns of several texts a row: as lists in Parquet and JSON, or in one text with a separator."""

from __future__ import annotations

import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.ingestion.contract import columns_of
from components.ingestion.labels import with_label
from components.ingestion.readers import read_file
from components.ingestion.rows import read_rows
from spec.errors import InputError
from spec.workload import Label

SCHEMA = text_format.Parse(
    """
    feature { name: "id" type: INT presence { min_fraction: 1 } shape {} }
    feature { name: "topics" type: BYTES presence { min_fraction: 1 } value_count {} string_domain { value: "art" value: "sport" } }
    """,
    schema_pb2.Schema(),
)
LISTS = [["art", "sport"], [], ["sport"]]


def _columns(**label: object):
    return with_label(columns_of(SCHEMA), SCHEMA, Label(column="topics", **label))


def _topics(path: pathlib.Path, format: str, **label: object) -> list[list[str] | None]:
    table = pa.Table.from_batches(read_file(path, format, _columns(**label), None))
    return table["topics"].to_pylist()


def test_lists_of_parquet_and_json_are_read_as_they_are(tmp_path: pathlib.Path) -> None:
    pq.write_table(pa.table({"id": [1, 2, 3], "topics": LISTS}), tmp_path / "rows.parquet")
    assert _topics(tmp_path / "rows.parquet", "parquet") == LISTS
    lines = [json.dumps({"id": i, "topics": one}) for i, one in enumerate(LISTS)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    assert _topics(tmp_path / "rows.jsonl", "jsonl") == LISTS


def test_a_text_is_divided_at_its_separator(tmp_path: pathlib.Path) -> None:
    (tmp_path / "rows.csv").write_text('id,topics\n1,art|sport\n2,\n3," sport |"\n')
    assert _topics(tmp_path / "rows.csv", "csv", separator="|") == LISTS
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "topics": "art|sport"}\n{"id": 2, "topics": ""}\n')
    assert _topics(tmp_path / "rows.jsonl", "jsonl", separator="|") == LISTS[:2]
    pq.write_table(pa.table({"id": [1], "topics": ["art|sport"]}), tmp_path / "rows.parquet")
    assert _topics(tmp_path / "rows.parquet", "parquet", separator="|") == LISTS[:1]


def test_spellings_are_merged_within_lists(tmp_path: pathlib.Path) -> None:
    (tmp_path / "rows.csv").write_text("id,topics\n1,Art|SPORT\n2,\n3,sport\n")
    assert _topics(tmp_path / "rows.csv", "csv", separator="|", merge_spellings=True) == LISTS


def test_a_row_without_an_answer_is_set_aside(tmp_path: pathlib.Path) -> None:
    (tmp_path / "rows.csv").write_text("id,topics\n1,art|sport\n2,NA\n3,sport\n")
    with pytest.raises(InputError, match="has no value"):
        _topics(tmp_path / "rows.csv", "csv", separator="|")
    found = list(read_rows(tmp_path / "rows.csv", "csv", _columns(separator="|"), None))
    assert [one for part in found for one in part.batch["topics"].to_pylist()] == [["art", "sport"], ["sport"]]
    assert [(one.row, one.column) for part in found for one in part.bad] == [(2, "topics")]


def test_a_csv_without_a_separator_says_what_to_do(tmp_path: pathlib.Path) -> None:
    (tmp_path / "rows.csv").write_text("id,topics\n1,art\n")
    with pytest.raises(InputError, match=r"data\.label\.separator"):
        _topics(tmp_path / "rows.csv", "csv")
    with pytest.raises(InputError, match=r"'id' one value a row\. Received: ';'"):
        with_label(columns_of(SCHEMA), SCHEMA, Label(column="id", separator=";"))
