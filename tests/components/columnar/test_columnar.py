from __future__ import annotations

import pathlib
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.columnar import (
    ColumnReader,
    SplitWriter,
    _columns,
    batch_rows,
    count_rows,
    plain_columns,
    read_batches,
    read_rows,
    read_split,
    split_directory,
    split_files,
    tfx_columns,
)

ROWS = pa.RecordBatch.from_pydict(
    {
        "i": pa.array([1, None, 3], pa.int64()),
        "f": pa.array([1.5, None, 2.5], pa.float64()),
        "s": pa.array(["a", None, "é"]),
        "v": pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        "b": pa.array([True, None, False]),
    }
)


def test_plain_to_list_columns() -> None:
    lists = tfx_columns(ROWS)
    assert [str(field.type.value_type) for field in lists.schema] == [
        "int64",
        "float",
        "large_binary",
        "float",
        "int64",
    ]
    assert lists.to_pydict() == {
        "i": [[1], None, [3]],
        "f": [[1.5], None, [2.5]],
        "s": [[b"a"], None, ["é".encode()]],
        "v": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
        "b": [[1], None, [0]],
    }


def test_a_slice_converts_like_a_copy() -> None:
    assert tfx_columns(ROWS.slice(1, 2)).to_pydict() == {k: v[1:] for k, v in tfx_columns(ROWS).to_pydict().items()}


def test_list_to_plain_columns() -> None:
    nested = pa.array([[[1.0], [2.0]], [[3.0], [4.0]]], pa.large_list(pa.large_list(pa.float32())))
    batch = pa.RecordBatch.from_arrays([pa.array([[1], [2]], pa.large_list(pa.int64())), nested], names=["x", "v"])
    assert plain_columns(batch).to_pydict() == {"x": [1, 2], "v": [[1.0, 2.0], [3.0, 4.0]]}


def test_ragged_rows_are_refused_by_name() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([[1], [2, 3]], pa.large_list(pa.int64()))], names=["x"])
    with pytest.raises(ValueError, match="'x'"):
        plain_columns(batch)


def test_what_is_written_is_read(tmp_path: pathlib.Path) -> None:
    with SplitWriter(tmp_path, "train", ROWS.schema) as writer:
        for _ in range(3):
            writer.write(ROWS)
    assert writer.rows == count_rows(tmp_path, "train") == 9
    assert [p.name for p in split_files(tmp_path, "train")] == ["examples-00000-of-00001.parquet"]
    assert read_split(tmp_path, "train", ["i"]).num_rows == 9
    assert sum(b.num_rows for b in read_batches(tmp_path, "train", rows=2)) == 9


def test_an_empty_split_keeps_its_columns(tmp_path: pathlib.Path) -> None:
    with SplitWriter(tmp_path, "eval", ROWS.schema):
        pass
    assert read_split(tmp_path, "eval").schema.names == ROWS.schema.names
    assert read_split(tmp_path, "eval", ["s", "i"]).schema.names == ["s", "i"]


def test_a_writer_that_fails_leaves_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RuntimeError), SplitWriter(tmp_path, "train", ROWS.schema) as writer:
        writer.write(ROWS)
        raise RuntimeError("in the middle")
    assert list((tmp_path / "Split-train").iterdir()) == []


def test_wide_rows_make_small_batches(tmp_path: pathlib.Path) -> None:
    wide = pa.RecordBatch.from_pydict({"v": [[float(i * j) for j in range(5000)] for i in range(50)]})
    with SplitWriter(tmp_path, "train", wide.schema) as writer:
        writer.write(wide)
    assert batch_rows(tmp_path, "train", target_bytes=200_000) < 50


def test_neighbouring_columns_are_read_together(tmp_path: pathlib.Path) -> None:
    """Of a wide file, whose footer speaks of every column, a read of its own for each column took most of DriftDetector's time."""
    wide = pa.RecordBatch.from_pydict({f"c{n}": [n, None] for n in range(500)})
    with SplitWriter(tmp_path, "train", wide.schema) as writer:
        writer.write(wide)
    reader = ColumnReader(tmp_path, "train")
    assert reader.columns == wide.schema.names
    with mock.patch.object(_columns, "read_split", wraps=_columns.read_split) as read:
        assert [reader.read(name).to_pylist() for name in reader.columns] == [[n, None] for n in range(500)]
    assert read.call_count == 1


def test_columns_that_are_long_are_read_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SplitWriter(tmp_path, "train", ROWS.schema) as writer:
        writer.write(ROWS)
    monkeypatch.setattr(_columns, "_BLOCK_BYTES", 1)
    reader = ColumnReader(tmp_path, "train")
    with mock.patch.object(_columns, "read_split", wraps=_columns.read_split) as read:
        for name in ("s", "s", "i", "s"):
            assert reader.read(name).to_pylist() == ROWS[name].to_pylist()
    assert [call.args[2] for call in read.call_args_list] == [["s"], ["i"], ["s"]]
    with pytest.raises(KeyError):
        reader.read("nowhere")


def test_rows_are_read_by_their_places(tmp_path: pathlib.Path) -> None:
    rows = pa.table({"i": list(range(10)), "s": [str(n) for n in range(10)]})
    for first in (0, 4):  # files, and groups of two rows in them
        directory = split_directory(tmp_path, "test")
        directory.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows.slice(first, 4 if first == 0 else 6), directory / f"data-{first}.parquet", row_group_size=2)
    found = read_rows(tmp_path, "test", np.array([7, 0, 9, 3, 1]), ["s", "i"])
    assert found.to_pydict() == {"s": ["7", "0", "9", "3", "1"], "i": [7, 0, 9, 3, 1]}
