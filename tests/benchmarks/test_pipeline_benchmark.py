"""The benchmark's data and table; the measurements themselves take minutes and are run by hand."""

from __future__ import annotations

import json
import pathlib

import pyarrow as pa
import pyarrow.csv

from benchmarks.pipeline import data, table
from benchmarks.pipeline.measuring import STAGES, Measurement


def test_the_data_is_the_same_every_time(tmp_path: pathlib.Path) -> None:
    for name in ("one", "two"):
        data.generate(5_000, tmp_path / name / "trips.csv")
    first, second = ((tmp_path / name / "trips.csv").read_bytes() for name in ("one", "two"))
    assert first == second
    assert not first.startswith(b'"'), "stock TFX takes quotes for part of the names"
    trips = pa.csv.read_csv(tmp_path / "one" / "trips.csv")
    assert trips.shape == (5_000, 18) and data.LABEL in trips.column_names and "tips" not in trips.column_names
    assert list(tmp_path.glob("one/*")) == [tmp_path / "one" / "trips.csv"], "stock TFX reads every file of the folder"


def test_the_use_case_is_the_taxi_workload_with_all_columns(tmp_path: pathlib.Path) -> None:
    from pipelines.workload import load_workload

    data.use_case(tmp_path)
    workload = load_workload(tmp_path / "workloads" / "bench")
    assert (workload.training.batch_size, workload.training.epochs) == (data.BATCH_SIZE, data.EPOCHS)
    assert not workload.data.ignore
    assert (tmp_path / "schemas" / "bench" / "schema.pbtxt").read_text().count("feature {") == 18


def one(side: str, seconds: float) -> Measurement:
    return Measurement(side, 5_000, dict.fromkeys(STAGES, seconds), 0.5, seconds * 7, 100.0, 0.9, 1_667, (0.1,))


def test_the_table_has_the_ratios() -> None:
    sides = [one("stock", 8.0), one("trainyard", 2.0), one("floor", 1.0)]
    text = table.to_text(sides)
    (line,) = (line for line in text.splitlines() if line.startswith("transform"))
    assert line.split() == ["transform", "8.00", "2.00", "1.00", "4.0x", "5x", "2.0x"]
    assert json.loads(table.to_json(sides))["results"][0]["side"] == "stock"


def test_a_side_alone_has_no_ratios() -> None:
    assert "x" not in table.to_text([one("trainyard", 2.0)]).split("whole process")[1].splitlines()[0]
