"""Deliveries as they come: what works all the same, and the one line for what does not."""

from __future__ import annotations

import datetime
import decimal
import json
import pathlib
import resource
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.columnar import read_split
from components.ingestion.contract import Column, columns_of
from components.ingestion.readers import read_file
from components.ingestion.rows import read_rows
from spec.errors import InputError
from spec.splits import SPLITS
from spec.workload import Label

SCHEMA = """
feature { name: "id" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "price" type: FLOAT presence { min_fraction: 0.5 } value_count { max: 1 } }
feature { name: "kind" type: BYTES presence { min_count: 0 } value_count { max: 1 } }
"""
COLUMNS = columns_of(text_format.Parse(SCHEMA, schema_pb2.Schema()))


def read(path: pathlib.Path, columns: list[Column] = COLUMNS, ignore: tuple[str, ...] | None = ()) -> dict[str, list]:
    return pa.Table.from_batches(list(read_file(path, path.suffix[1:], columns, ignore))).to_pydict()


def refusal(path: pathlib.Path, columns: list[Column] = COLUMNS, ignore: tuple[str, ...] = ()) -> str:
    with pytest.raises(InputError) as caught:
        list(read_file(path, path.suffix[1:], columns, ignore))
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and len(message) < 1000
    return message


def bad_rows(path: pathlib.Path) -> list[tuple[int, str | None, str]]:
    return [(b.row, b.column, b.reason) for rows in read_rows(path, path.suffix[1:], COLUMNS, ()) for b in rows.bad]


def write(path: pathlib.Path, content: str | bytes) -> pathlib.Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# CSV


def test_zero_bytes_in_text(tmp_path) -> None:
    good = "".join(f"{i},1,a\n" for i in range(2000))
    path = write(tmp_path / "a.csv", "id,price,kind\n" + good + "2000,1,a\0b\n2001,1,c\n")
    assert "row 2001, column 'kind': holds a zero byte" in refusal(path)
    assert bad_rows(path) == [(2001, "kind", "holds a zero byte")]
    path = write(tmp_path / "b.csv", "id,price,kind\n" + good + "\0" * 4096)  # as a crash leaves the end of a file
    assert "row 2001" in refusal(path)


@pytest.mark.parametrize("number", ["9223372036854775808", "1_000", "1.0"])
def test_a_number_that_only_python_reads_is_named_by_its_row(tmp_path, number: str) -> None:
    path = write(tmp_path / "a.csv", f"id,price,kind\n0x1F,1,a\n{number},1,b\n")
    assert "row 2, column 'id'" in refusal(path)


def wide(columns: int) -> str:
    return ",".join(["id", "price", "kind", *(f"x{i}" for i in range(columns - 3))]) + "\n"


def test_ten_thousand_columns_of_which_three_are_read(tmp_path) -> None:
    rows = "".join(f"{i},1,a" + ",0" * 9_997 + "\n" for i in range(200))
    path = write(tmp_path / "a.csv", wide(10_000) + rows)
    assert read(path, ignore=("x*",))["id"] == list(range(200))
    message = refusal(path)
    assert "column 'x0' is not in the schema (and 9996 more)" in message and "x50" not in message
    path = write(tmp_path / "b.csv", wide(10_000).replace("id,", "other,") + rows)
    assert "column 'id' is missing" in refusal(path) and "and 9960 more" in refusal(path)


def test_ten_thousand_columns_of_the_schema(ingest, tmp_path) -> None:
    names = [f"x{i}" for i in range(10_000)]
    row = ",".join("1.5" for _ in names)
    lines = [row] * 300 + [row.replace("1.5", "dear", 1)]
    contract = "".join(
        f'feature {{ name: "{n}" type: FLOAT presence {{ min_fraction: 1.0 }} shape {{}} }}\n' for n in names
    )
    examples = ingest(
        {"a.csv": "\n".join([",".join(names), *(f"{i}{line[3:]}" for i, line in enumerate(lines[:-1])), lines[-1]])},
        contract,
        label=Label(column="x1"),
        on_bad_rows="quarantine",
    )
    assert examples.get_int_custom_property("rows_out") == 300
    assert examples.get_int_custom_property("rows_quarantined") == 1
    assert len(read_split(examples.uri, "train").column_names) == 10_000


def test_a_field_of_a_hundred_megabytes(tmp_path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b"id,price,kind\n1,2,")
        for _ in range(100):
            file.write(b"x" * 2**20)
        file.write(b"\n2,1,a\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "a row is longer than 8 MiB" in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024  # KiB


def test_files_may_differ_in_columns_as_far_as_the_schema_allows(ingest) -> None:
    files = {
        "a.csv": "id,price,kind\n" + "".join(f"{i},1,a\n" for i in range(50)),
        "b.csv": "price,id\n" + "".join(f"2,{i}\n" for i in range(50, 99)),
    }
    examples = ingest(files, SCHEMA)
    rows = [row for split in SPLITS for row in read_split(examples.uri, split).to_pylist()]
    assert sorted(row["id"] for row in rows) == list(range(99))
    assert {(row["price"], row["kind"]) for row in rows} == {(1.0, "a"), (2.0, None)}
    with pytest.raises(InputError, match=r"c\.csv: column 'id' is missing\. Received: price"):
        ingest({"c.csv": "price\n1\n"}, SCHEMA)


# Parquet


def parquet(path: pathlib.Path, **columns: Any) -> pathlib.Path:
    pq.write_table(pa.table({"id": [1, 2], "price": [1.0, 2.0], **columns}), path)
    return path


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ({"price": pa.array([decimal.Decimal("1.50"), None])}, [1.5, None]),
        ({"price": pa.nulls(2)}, [None, None]),
        ({"price": pa.array([True, False])}, [1.0, 0.0]),
        ({"price": pa.array([3, 4], pa.int32()).dictionary_encode()}, [3.0, 4.0]),
        ({"kind": pa.array(["a", "b"]).dictionary_encode()}, ["a", "b"]),
        ({"kind": pa.array(["a", "b"], pa.large_string())}, ["a", "b"]),
        ({"kind": pa.array([datetime.date(2026, 1, 2)] * 2)}, ["2026-01-02"] * 2),
        (
            {"kind": pa.array([datetime.datetime(2026, 1, 2)] * 2, pa.timestamp("ns"))},
            ["2026-01-02 00:00:00.000000"] * 2,
        ),
        ({"id": pa.array([datetime.datetime(1970, 1, 1, 0, 0, 1)] * 2, pa.timestamp("ms"))}, [1_000_000] * 2),
        ({"id": pa.array([datetime.datetime(1970, 1, 1, 0, 0, 1)] * 2, pa.timestamp("ns"))}, [1_000_000] * 2),
        ({"id": pa.array([1, 2], pa.uint64())}, [1, 2]),
    ],
)
def test_parquet_types_that_fit(tmp_path, column: dict[str, Any], expected: list[Any]) -> None:
    assert read(parquet(tmp_path / "a.parquet", **column))[next(iter(column))] == expected


@pytest.mark.parametrize(
    ("column", "parts"),
    [
        ({"price": [{"a": 1}] * 2}, ["Received: struct<a: int64>"]),
        ({"kind": pa.array([[("a", 1)]] * 2, pa.map_(pa.string(), pa.int64()))}, ["Received: map<string, int64"]),
        ({"price": [[[1.0]]] * 2}, ["Received: list<"]),
        ({"price": pa.array([datetime.datetime(2026, 1, 1)] * 2)}, ["Received: timestamp[us]"]),
        (
            {"id": pa.array([1, 2**64 - 1], pa.uint64())},
            ["row 2", "Received: uint64", "18446744073709551615 not in range"],
        ),
        ({"id": pa.array([decimal.Decimal("1.00"), decimal.Decimal("1.50")])}, ["row 2", "decimal128(3, 2)"]),
        ({"id": pa.nulls(2)}, ["row 1", "has no value"]),
    ],
)
def test_parquet_types_that_do_not_fit(tmp_path, column: dict[str, Any], parts: list[str]) -> None:
    message = refusal(parquet(tmp_path / "a.parquet", **column))
    for part in (*parts, f"column {next(iter(column))!r}"):
        assert part in message


def test_one_value_that_overflows_is_one_bad_row(tmp_path) -> None:
    path = parquet(tmp_path / "a.parquet", id=pa.array([1, 2**64 - 1], pa.uint64()))
    assert [(row, column) for row, column, _ in bad_rows(path)] == [(2, "id")]


def test_nested_columns_that_are_not_read_do_not_matter(tmp_path) -> None:
    path = parquet(tmp_path / "a.parquet", nested=[{"id": 7}] * 2)
    assert read(path, ignore=("nested",))["id"] == [1, 2]


def test_parquet_without_rows(tmp_path) -> None:
    table = pa.table({"id": pa.array([], pa.int64()), "price": pa.array([], pa.float64())})
    pq.write_table(table, tmp_path / "a.parquet")
    assert "has no rows" in refusal(tmp_path / "a.parquet")
    with pq.ParquetWriter(tmp_path / "b.parquet", table.schema):
        pass
    assert "has no rows" in refusal(tmp_path / "b.parquet")


def test_parquet_that_is_damaged_in_the_middle(tmp_path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": range(100_000), "price": [0.5] * 100_000}), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[1000:3000] = b"\xff" * 2000
    path.write_bytes(content)
    assert "Deliver it again" in refusal(path)


def test_long_values_in_parquet_come_in_small_batches(tmp_path) -> None:
    columns = [Column("kind", pa.string(), False, False)]
    values = [f"{i}" + "x" * 2**20 for i in range(80)]
    pq.write_table(pa.table({"kind": values}), tmp_path / "a.parquet", use_dictionary=False, compression="none")
    sizes = [batch.num_rows for batch in read_file(tmp_path / "a.parquet", "parquet", columns, ())]
    assert sum(sizes) == 80 and max(sizes) <= 32


# JSON lines


def test_an_array_of_objects_is_no_json_lines(tmp_path) -> None:
    for content in ('[{"id": 1, "price": 2}]', '\ufeff [\n  {"id": 1,\n "price": 2}\n]'):
        path = write(tmp_path / "a.jsonl", content)
        assert "is a JSON array" in refusal(path) and "jq" in refusal(path)
        with pytest.raises(InputError, match="is a JSON array"):
            bad_rows(path)


def test_nested_objects_and_their_row(tmp_path) -> None:
    lines = ['{"id": 1, "price": 1}', "", '{"id": 2, "price": {"eur": 1}}', '{"id": 3, "price": 3}']
    path = write(tmp_path / "a.jsonl", "\n".join(lines))
    assert "row 2, column 'price'" in refusal(path) and "flat JSON object" in refusal(path)
    assert [(row, column) for row, column, _ in bad_rows(path)] == [(2, "price")]


def test_a_field_that_is_not_read_may_be_anything(tmp_path) -> None:
    lines = [{"id": 1, "z": 1}, {"id": 2, "z": "x"}, {"id": 3, "z": {"y": []}}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert read(path, [COLUMNS[0]], ("z",)) == {"id": [1, 2, 3]}
    assert "'z' is not in the schema" in refusal(path, [COLUMNS[0]], ("y",))


def test_a_line_of_many_megabytes(tmp_path) -> None:
    lines = [{"id": 1, "kind": "x" * 30_000_000}, {"id": 2, "kind": "a"}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)))
    assert [len(value) for value in read(path)["kind"]] == [30_000_000, 1]


def test_jsonl_in_another_encoding(tmp_path) -> None:
    assert read(write(tmp_path / "a.jsonl", '\ufeff{"id": 1}\n{"id": 2}\n'))["id"] == [1, 2]
    assert "is UTF-16" in refusal(write(tmp_path / "b.jsonl", '{"id": 1}\n'.encode("utf-16")))
    assert "zero byte" in refusal(write(tmp_path / "c.jsonl", '{"id": 1}\n'.encode("utf-16-le")))
