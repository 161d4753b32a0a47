"""One form of each value: dates in ISO 8601, and yes and no as the schema writes them, whatever a file has."""

from __future__ import annotations

import datetime
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.ingestion.contract import columns_of
from components.ingestion.dates import Dates
from components.ingestion.readers import read_file
from components.ingestion.rows import read_rows
from spec.errors import InputError

SCHEMA = """
feature { name: "on" type: BYTES presence {} value_count { min: 1 max: 1 } time_domain { string_format: "%d/%m/%Y" } }
feature { name: "at" type: BYTES presence {} value_count { min: 1 max: 1 } time_domain { string_format: "%Y-%m-%dT%H:%M:%S" } }
feature { name: "paid" type: BYTES presence {} value_count { min: 1 max: 1 } bool_domain { true_value: "Yes" false_value: "No" } }
"""
COLUMNS = columns_of(text_format.Parse(SCHEMA, schema_pb2.Schema()))
WANTED = {
    "on": ["2026-12-31", None],
    "at": ["2026-12-31T23:59:00", "2027-01-01T00:00:00"],
    "paid": ["Yes", "No"],
}


def test_every_format_gives_the_same(tmp_path: pathlib.Path) -> None:
    csv, jsonl, parquet = (tmp_path / f"rows.{format}" for format in ("csv", "jsonl", "parquet"))
    csv.write_text('on,at,paid\n31/12/2026,2026-12-31 23:59,yes\n"",2027-01-01T01:00:00+01:00,FALSE\n')
    lines = [
        {"on": "2026-12-31", "at": "2026-12-31T23:59:00.5", "paid": True},
        {"on": None, "at": "2027-01-01T00:00Z", "paid": False},
    ]
    jsonl.write_text("".join(json.dumps(one) + "\n" for one in lines))
    table = {
        "on": pa.array([datetime.date(2026, 12, 31), None]),
        "at": pa.array([datetime.datetime(2026, 12, 31, 23, 59), datetime.datetime(2027, 1, 1)], pa.timestamp("ns")),
        "paid": [True, False],
    }
    pq.write_table(pa.table(table), parquet)
    for path in (csv, jsonl, parquet):
        (batch,) = read_file(path, path.suffix[1:], COLUMNS, ())
        assert batch.to_pydict() == WANTED, path.suffix


def test_what_is_no_date_is_named_and_set_aside(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("on,at,paid\n31/12/2026,,\n31/02/2026,,\n01/01/2026,,\n")
    with pytest.raises(
        InputError, match=r"row 2, column 'on': the schema says a date as %d/%m/%Y or in ISO 8601.*31/02/2026"
    ):
        list(read_file(path, "csv", COLUMNS, ()))
    parts = list(read_rows(path, "csv", COLUMNS, ()))
    assert [one.row for part in parts for one in part.bad] == [2]
    assert sum(part.batch.num_rows for part in parts) == 2


def test_leap_days_and_century(tmp_path: pathlib.Path) -> None:
    assert Dates("%d.%m.%y")(pa.array(["29.2.24", " 1900-03-01 "])).to_pylist() == ["2024-02-29", "1900-03-01"]
    with pytest.raises(pa.ArrowInvalid, match=r"29\.2\.23"):
        Dates("%d.%m.%y")(pa.array(["28.2.23", "29.2.23"]))
