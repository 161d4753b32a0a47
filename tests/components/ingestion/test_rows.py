"""Every row of a file is either read or set aside with its number and the reason; none is lost."""

from __future__ import annotations

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.ingestion.contract import columns_of
from components.ingestion.labels import labelled, with_label
from components.ingestion.readers import read_file
from components.ingestion.rows import read_rows
from spec.errors import InputError
from spec.workload import Label

SCHEMA = """
feature { name: "id" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "price" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "kind" type: BYTES presence { min_fraction: 0.5 } value_count { max: 1 } }
"""
COLUMNS = columns_of(text_format.Parse(SCHEMA, schema_pb2.Schema()))


def read(path: pathlib.Path, format: str = "csv", ignore: tuple[str, ...] | None = ()):
    """Good rows by their number, and bad rows."""
    good, bad = {}, []
    for rows in read_rows(path, format, COLUMNS, ignore):
        assert len(rows.numbers) == rows.batch.num_rows
        assert not good.keys() & set(rows.numbers.tolist())
        good.update(zip(rows.numbers.tolist(), rows.batch.to_pylist(), strict=True))
        bad += rows.bad
    assert not good.keys() & {one.row for one in bad}
    return good, bad


def write(path: pathlib.Path, content: str | bytes) -> pathlib.Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_good_rows_are_numbered(tmp_path) -> None:
    good, bad = read(write(tmp_path / "a.csv", "id,price,kind\n1,2.5,a\n2, 3 ,\n"))
    assert bad == [] and good == {1: {"id": 1, "price": 2.5, "kind": "a"}, 2: {"id": 2, "price": 3.0, "kind": None}}


def test_each_kind_of_bad_row_in_a_csv(tmp_path) -> None:
    content = (
        b"id,price,kind\n"
        b"1,1,a\n"
        b"2,1\n"  # ragged
        b'3,1,"two\nlines"\n'
        b"\n"
        b"4,cheap,b\n"  # wrong type
        b"5,,b\n"  # missing
        b"6,1,caf\xe9\n"  # Latin-1
        b"7,1,a,more\n"  # ragged
        b"8,1,\n"
    )
    good, bad = read(write(tmp_path / "a.csv", content))
    assert list(good) == [1, 3, 8] and good[3]["kind"] == "two\nlines"
    assert [(b.row, b.column) for b in bad] == [(2, None), (4, "price"), (5, "price"), (6, "kind"), (7, None)]
    reasons = {b.row: b.reason for b in bad}
    assert reasons[2] == "3 columns expected. Received: 2" and "cheap" in reasons[4]
    assert "no value" in reasons[5] and "UTF-8" in reasons[6]
    assert bad[0].content == "2,1"


def test_bad_rows_past_the_first_block(tmp_path, monkeypatch) -> None:
    from components.ingestion import csv_files

    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 4096)
    lines = [f"{i},{i}.5,k" for i in range(1, 5001)]
    for row in (1, 2500, 4999, 5000):
        lines[row - 1] = f"{row},dear,k" if row % 2 else f"{row}"
    good, bad = read(write(tmp_path / "a.csv", "id,price,kind\n" + "\n".join(lines)))
    assert [b.row for b in bad] == [1, 2500, 4999, 5000]
    assert len(good) == 4996 and all(row["id"] == number for number, row in good.items())


def test_jsonl(tmp_path) -> None:
    lines = [
        '{"id":1,"price":2,"kind":"a"}',
        "",
        '{"id":"x","price":2}',
        "{broken",
        '{"id":4}',
        "[5]",
        '{"id":6,"price":1}',
    ]
    good, bad = read(write(tmp_path / "a.jsonl", "\n".join(lines)), "jsonl")
    assert list(good) == [1, 6]
    assert [(b.row, b.column) for b in bad] == [(2, "id"), (3, None), (4, "price"), (5, None)]
    assert bad[1].content == "{broken"


def test_parquet(tmp_path) -> None:
    table = pa.table({"id": [1.0, 2.5, 3.0], "price": [1.0, 1.0, None], "kind": ["a", "b", "c"]})
    pq.write_table(table, tmp_path / "a.parquet")
    good, bad = read(tmp_path / "a.parquet", "parquet")
    assert list(good) == [1] and [(b.row, b.column) for b in bad] == [(2, "id"), (3, "price")]


def test_a_file_of_bad_rows_alone(tmp_path) -> None:
    good, bad = read(write(tmp_path / "a.csv", "id,price,kind\n1\n2\n"))
    assert good == {} and [b.row for b in bad] == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", "id,kind\n1,a\n", "'price' is missing"),
        ("a.csv", "id,price,kind\n", "no rows"),
        ("a.csv", "id,price,kind,extra\n1,2,a,b\n", "'extra' is not in the schema"),
        ("a.parquet", "no parquet", "not a whole Parquet file|cannot be read"),
    ],
)
def test_what_is_wrong_with_the_file_is_no_bad_row(tmp_path, name: str, content: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        read(write(tmp_path / name, content), name.rpartition(".")[2])


def test_a_column_of_another_kind_is_refused_at_once(tmp_path) -> None:
    table = pa.table({"id": [{"a": 1}], "price": [1.0], "kind": ["a"]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'id'"):
        read(tmp_path / "a.parquet", "parquet")


def test_any_other_column_may_be_there(tmp_path) -> None:
    good, bad = read(write(tmp_path / "a.csv", "id,price,kind,extra\n1,2,a,b\n"), ignore=None)
    assert not bad and good[1] == {"id": 1, "price": 2.0, "kind": "a"}


def test_an_open_quote_that_swallows_rows_is_not_one_bad_row(tmp_path) -> None:
    lines = [f"{i},{i},k" for i in range(1, 500)]
    lines[100] = '101,1,"k'
    lines[400] = '401,1,k",'
    with pytest.raises(InputError, match=r"row 101: runs over 300 lines"):
        read(write(tmp_path / "a.csv", "id,price,kind\n" + "\n".join(lines) + "\n"))


def test_a_row_longer_than_a_block(tmp_path) -> None:
    content = "id,price,kind\n1,2," + "x" * 20_000_000 + "\n2,1,a\n"
    with pytest.raises(InputError, match="longer than 8 MiB"):
        read(write(tmp_path / "a.csv", content))


def test_nothing_is_asked_of_a_row_that_is_left_out(tmp_path) -> None:
    """A row without a label is left out, so what else it lacks stops nothing; what a labelled row lacks does."""
    columns = with_label(COLUMNS, schema_pb2.Schema(), Label(column="kind", drop_unlabelled=True))
    path = write(tmp_path / "a.csv", "id,price,kind\n1,1,a\n2,,\n,3, \n4,4,b\n")
    (batch,) = read_file(path, "csv", columns, ())
    assert batch.filter(labelled(batch["kind"])).to_pylist() == [
        {"id": 1, "price": 1.0, "kind": "a"},
        {"id": 4, "price": 4.0, "kind": "b"},
    ]
    path = write(tmp_path / "b.csv", "id,price,kind\n1,,a\n2,,\n3,3,b\n")
    with pytest.raises(InputError, match=r"line 2 of .*row 1, column 'price': has no value \(1 in this block\)"):
        list(read_file(path, "csv", columns, ()))
    rows = list(read_rows(path, "csv", columns, ()))
    assert [bad.row for one in rows for bad in one.bad] == [1]
    assert [number for one in rows for number in one.numbers] == [2, 3]
