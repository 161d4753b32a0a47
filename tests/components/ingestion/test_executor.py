"""ColumnarExampleGen's executor: quarantine, its limit, and counts that add up."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pyarrow.parquet as pq
import pytest
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.columnar import read_split
from components.errors import InputError
from components.ingestion import IngestionConfig, sources
from components.ingestion.executor import Executor

SCHEMA = """
feature { name: "id" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "price" type: FLOAT presence { min_fraction: 1.0 } shape {} }
"""


@pytest.fixture
def ingest(tmp_path: pathlib.Path):
    """Ingests files {name: content}; returns the Examples artifact."""
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text(SCHEMA)
    (tmp_path / "data").mkdir()
    schema = standard_artifacts.Schema()
    schema.uri = str(tmp_path / "schema")

    def run(files: dict[str, str], **options: Any) -> standard_artifacts.Examples:
        for name, content in files.items():
            (tmp_path / "data" / name).write_text(content)
        config = IngestionConfig(**{"uri": f"{tmp_path}/data/*", "format": "csv", "label": "price", **options})
        spans = [
            {"span": s.number, "digest": s.digest, "files": s.files} for s in sources.resolve_window(config.uri, 0, 1)
        ]
        examples = standard_artifacts.Examples()
        examples.uri = str(tmp_path / "examples")
        context = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
        Executor(context).Do(
            {"schema": [schema]},
            {"examples": [examples]},
            {"input_config": config.to_json(), "spans": json.dumps(spans), "span": 0},
        )
        return examples

    return run


def rows(count: int, *bad: str) -> str:
    return "id,price\n" + "\n".join([*(f"{i},{i}" for i in range(count)), *bad]) + "\n"


FILES = {"a.csv": rows(150, "7,dear", "8"), "b.csv": rows(50, "9,")}


def test_bad_rows_go_into_the_side_file_and_are_counted(ingest) -> None:
    examples = ingest(FILES, on_bad_rows="quarantine", max_bad_fraction=0.02)
    uri = pathlib.Path(examples.uri)
    kept = sum(read_split(uri, split).num_rows for split in ("train", "eval"))
    side = pq.read_table(uri / "quarantine.parquet")
    assert (kept, side.num_rows) == (200, 3)
    assert [pathlib.Path(file).name for file in side["file"].to_pylist()] == ["a.csv", "a.csv", "b.csv"]
    assert side["row"].to_pylist() == [151, 152, 51] and side["column"].to_pylist() == ["price", None, "price"]
    assert examples.get_int_custom_property("rows_quarantined") == 3
    assert examples.get_int_custom_property("rows_in") == 203
    assert examples.get_int_custom_property("rows_out") == 200
    assert json.loads(examples.get_string_custom_property("spans"))[0]["rows"] == 200


def test_too_many_bad_rows_end_the_run(ingest) -> None:
    with pytest.raises(
        InputError, match=r"3 of 203 rows \(1\.48%\).*max_bad_fraction.*a\.csv, row 151, column 'price'"
    ):
        ingest(FILES, on_bad_rows="quarantine")


def test_the_default_is_to_fail(ingest) -> None:
    with pytest.raises(InputError, match=r"a\.csv"):
        ingest(FILES)


def test_good_data_leave_no_side_file(ingest) -> None:
    examples = ingest({"a.csv": rows(100)}, on_bad_rows="quarantine")
    assert not (pathlib.Path(examples.uri) / "quarantine.parquet").exists()
    assert examples.get_int_custom_property("rows_quarantined") == 0


def test_a_split_by_time_reads_past_bad_rows(ingest) -> None:
    examples = ingest(FILES, on_bad_rows="quarantine", max_bad_fraction=0.1, split_time="id", eval_fraction=0.1)
    assert examples.get_int_custom_property("rows_quarantined") == 3
    assert min(read_split(examples.uri, "eval")["id"].to_pylist()) > 100
