"""What the readers take, and the one line that they give for what they do not."""

from __future__ import annotations

import gzip
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.ingestion.contract import columns_of
from components.ingestion.readers import read_file
from spec.errors import InputError

SCHEMA = """
feature { name: "id" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "price" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "kind" type: BYTES presence { min_fraction: 0.5 } value_count { max: 1 } }
feature { name: "note" type: BYTES presence { min_count: 0 } value_count { max: 1 } }
"""
COLUMNS = columns_of(text_format.Parse(SCHEMA, schema_pb2.Schema()))
GOOD = "id,price,kind,note\n1,2.5,a,x\n2,3,,\n3,-1e3,b,é\n"


def read(path: pathlib.Path, format: str = "csv", ignore: tuple[str, ...] = ()) -> dict[str, list]:
    return pa.Table.from_batches(list(read_file(path, format, COLUMNS, ignore))).to_pydict()


def refusal(path: pathlib.Path, format: str = "csv", ignore: tuple[str, ...] = ()) -> str:
    with pytest.raises(InputError) as caught:
        list(read_file(path, format, COLUMNS, ignore))
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


@pytest.fixture
def csv(tmp_path: pathlib.Path):
    def write(content: str | bytes) -> pathlib.Path:
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_csv_gives_the_schemas_types(csv) -> None:
    assert read(csv(GOOD)) == {
        "id": [1, 2, 3],
        "price": [2.5, 3.0, -1000.0],
        "kind": ["a", None, "b"],
        "note": ["x", None, "é"],
    }


def test_columns_may_come_in_any_order_and_optional_ones_not_at_all(csv) -> None:
    assert read(csv("price,kind,id\n1,a,7\n"))["note"] == [None]


def test_byte_order_mark_and_quoted_newlines(csv) -> None:
    found = read(csv(b'\xef\xbb\xbfid,price,kind\n1,2,"two\nlines"\n2,3,b\n'))
    assert found["id"] == [1, 2] and found["kind"] == ["two\nlines", "b"]


def test_a_compressed_csv_goes_by_its_ending(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert read(path)["id"] == [1, 2, 3]
    path.write_bytes(gzip.compress(b"id,price,kind\n1,2,a\n2,3\n"))
    assert "row 2" in refusal(path)
    path.write_bytes(gzip.compress(GOOD.encode())[:-12])
    assert "Deliver it again" in refusal(path)


def test_a_type_error_counts_rows_once(csv) -> None:
    message = refusal(csv("id,price,kind\n1,2,a\n2,cheap,b\n"))
    assert "Row #" not in message


def test_an_ignored_column_is_not_read(csv) -> None:
    assert "extra" not in read(csv("id,price,kind,extra\n1,2,a,zzz\n"), ignore=("extra",))


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["no header and no rows"]),
        ("id,price,kind\n", ["has no rows"]),
        ("id,kind\n1,a\n", ["column 'price' is missing", "Received: id, kind"]),
        ("id,price,kind,colour\n1,2,a,red\n", ["column 'colour' is not in the schema", "data.ignore"]),
        ("id,price,kind,id\n1,2,a,1\n", ["column 'id' appears twice"]),
        ("id;price;kind\n1;2;a\n", ["column"]),
        ("id,price,kind\n1,2,a\n2,cheap,b\n", ["row 2", "column 'price'", "cheap"]),
        ("id,price,kind\n1,2,a\n2.5,2,b\n", ["row 2", "column 'id'", "2.5"]),
        ("id,price,kind\n1,2,a\n2,3\n", ["row 2", "Expected 3 columns, got 2"]),
        ("id,price,kind\n1,2,a\n2,3,b,extra\n", ["Expected 3 columns, got 4"]),
        ("id,price,kind\n1,2,a\n2,,b\n", ["row 2", "column 'price'", "has no value"]),
        ("id,price,kind\n1,2,a\n2,NaN,b\n", ["row 2", "column 'price'", "has no value"]),
        ("id,price,kind\n1,2,caf\xe9\n".encode("latin-1"), ["column 'kind'", "UTF-8"]),
        ("id,pri\xe7e,kind\n1,2,a\n".encode("latin-1"), ["first line", "UTF-8"]),
        ("id,price,kind\n1,2,a\n".encode("utf-16"), ["is UTF-16", "Save it as UTF-8"]),
        (gzip.compress(b"id,price,kind\n1,2,a\n", mtime=0), ["is not text", "1f 8b 08 00", ".gz"]),
    ],
)
def test_a_csv_that_does_not_fit_is_named_by_row_and_column(csv, content, parts) -> None:
    message = refusal(csv(content))
    for part in parts:
        assert part in message


def test_a_value_that_breaks_the_type_past_the_first_block(csv) -> None:
    rows = "".join(f"{i},1.5,{'k' * 40}\n" for i in range(300_000))
    message = refusal(csv("id,price,kind\n" + rows + "oops,1,a\n"))
    assert "row 300001" in message and "'oops'" in message


def test_parquet_is_read_and_checked(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"id": [1], "price": pa.array([1], pa.int32()), "kind": ["a"]}), path)
    assert read(path, "parquet")["price"] == [1.0]
    pq.write_table(pa.table({"id": ["x"], "price": [1.0], "kind": ["a"]}), path)
    message = refusal(path, "parquet")
    assert "column 'id'" in message and "Received: string" in message
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a whole Parquet file" in refusal(path, "parquet")


def test_json_lines_are_read_and_checked(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data.jsonl"
    rows = [{"id": 1, "price": 2, "kind": "a"}, {"id": 2, "price": 1.5}]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert read(path, "jsonl")["kind"] == ["a", None]
    path.write_text('{"id": 1, "price": 2}\n{"id": 2, "pri')
    assert "row 2: " in refusal(path, "jsonl")
    path.write_text('{"id": 1, "price": 2}\n{"id": 2, "price": "cheap"}')
    refusal(path, "jsonl")


def test_vectors_come_from_parquet(tmp_path: pathlib.Path) -> None:
    schema = text_format.Parse(
        'feature { name: "pixels" type: FLOAT shape { dim { size: 2 } } presence { min_fraction: 1 } }',
        schema_pb2.Schema(),
    )
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"pixels": [[1.0, 2.0], [3.0, 4.0]]}), path)
    (batch,) = read_file(path, "parquet", columns_of(schema), ())
    assert batch.to_pydict() == {"pixels": [[1.0, 2.0], [3.0, 4.0]]}
