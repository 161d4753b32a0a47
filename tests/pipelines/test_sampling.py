"""Samples of a span: as many rows of each split as asked, whole queries, the same text, in the same order."""

from __future__ import annotations

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sampling import sample_span


def _parquet(folder: pathlib.Path, **tables: dict[str, list[object]]) -> pathlib.Path:
    folder.mkdir()
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def test_so_many_rows_of_each_split_in_their_order(tmp_path: pathlib.Path) -> None:
    rows = list(range(1000))
    span = _parquet(tmp_path / "span-1", a={"x": rows, "split": ["train"] * 900 + ["test"] * 100})
    for name in ("first", "again"):
        sample_span(span, tmp_path / name, 200, split="split")
    table = pq.read_table(tmp_path / "first" / "a.parquet")
    assert table["split"].to_pylist() == ["train"] * 200 + ["test"] * 100
    assert table["x"].to_pylist() == sorted(table["x"].to_pylist())
    assert table.equals(pq.read_table(tmp_path / "again" / "a.parquet"))


def test_a_query_keeps_all_rows_or_none_in_every_file(tmp_path: pathlib.Path) -> None:
    users = [user for user in range(100) for _ in range(user % 7 + 1)]
    span = _parquet(
        tmp_path / "span-1",
        train={"user": users, "split": ["train"] * len(users)},
        test={"user": list(range(100)), "split": ["test"] * 100},
    )
    sample_span(span, tmp_path / "some", 50, split="split", query="user")
    train, test = (
        pq.read_table(tmp_path / "some" / f"{name}.parquet")["user"].to_pylist() for name in ("train", "test")
    )
    assert set(train) == set(test)
    assert train == [user for user in users if user in set(test)]
    assert 100 <= len(train) + len(test) <= 108


def test_what_stands_in_a_csv_stays_as_it_is_written(tmp_path: pathlib.Path) -> None:
    (tmp_path / "span-1").mkdir()
    (tmp_path / "span-1" / "trips.csv").write_text('fare,note\n1.50,NA\n007,\n2,"a, b"\n')
    sample_span(tmp_path / "span-1", tmp_path / "some", 3)
    assert (tmp_path / "some" / "trips.csv").read_text() == 'fare,note\n1.50,NA\n007,\n2,"a, b"\n'
    sample_span(tmp_path / "span-1", tmp_path / "fewer", 2)
    assert len((tmp_path / "fewer" / "trips.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("rows", [1, 5_000])
def test_any_number_of_rows_will_do(tmp_path: pathlib.Path, rows: int) -> None:
    span = _parquet(tmp_path / "span-1", a={"user": [1, 1, 2], "x": [1, 2, 3]})
    sample_span(span, tmp_path / "some", rows, query="user")
    assert pq.read_table(tmp_path / "some")["x"].to_pylist() in ([1, 2], [3], [1, 2, 3])


def test_files_of_another_format_are_all_taken(tmp_path: pathlib.Path) -> None:
    (tmp_path / "span-1" / "rose").mkdir(parents=True)
    (tmp_path / "span-1" / "rose" / "a.jpg").write_bytes(b"picture")
    sample_span(tmp_path / "span-1", tmp_path / "some", 1)
    assert (tmp_path / "some" / "rose" / "a.jpg").read_bytes() == b"picture"
