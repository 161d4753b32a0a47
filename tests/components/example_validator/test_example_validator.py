"""What the schema gate finds, and how it says so."""

from __future__ import annotations

import pathlib

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tensorflow_metadata.proto.v0 import schema_pb2

from components.columnar import SplitWriter, tfx_columns
from components.example_validator import executor

SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_fraction: 1.0 } shape {} float_domain { min: 0 } }
feature { name: "kind" type: BYTES presence { min_fraction: 0.9 } value_count { max: 1 }
          string_domain { value: "card" value: "cash" } }
feature { name: "area" type: BYTES presence { min_fraction: 1.0 } shape {} domain: "areas" }
feature { name: "miles" type: FLOAT presence { min_fraction: 1.0 } shape {} float_domain { disallow_inf: true } }
feature { name: "tip" type: INT presence { min_fraction: 1.0 } shape {} int_domain { min: 0 max: 1 } }
string_domain { name: "areas" value: "north" value: "south" }
"""


def checks(folder: pathlib.Path, **changes) -> dict[str, object]:
    columns = {
        "fare": [1.0, 2.0, 3.0, 4.0],
        "kind": ["card", "cash", "card", "cash"],
        "area": ["north", "south", "north", "north"],
        "miles": [1.0, 2.0, 3.0, 4.0],
        "tip": [0, 1, 0, 1],
        **changes,
    }
    batch = pa.RecordBatch.from_pydict(columns)
    with SplitWriter(folder, "train", batch.schema) as writer:
        writer.write(batch)
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    options = tfdv.StatsOptions(schema=schema, infer_type_from_schema=True)
    statistics = folder / "FeatureStats.pb"
    statistics.write_bytes(generate_statistics_in_memory(tfx_columns(batch), options).SerializeToString())
    anomalies = executor._validate(statistics, schema)
    return {check.name: check for check in executor._checks(anomalies, schema, "train", str(folder))}


def test_good_data_pass_a_check_for_each_feature(tmp_path) -> None:
    found = checks(tmp_path)
    assert set(found) == {f"train/{name}" for name in ("fare", "kind", "area", "miles", "tip")}
    assert all(check.passes for check in found.values())


@pytest.mark.parametrize(
    ("changes", "name", "parts"),
    [
        ({"tip": [0, 1, 7, 1]}, "train/tip", ["7 (train row 2)"]),
        ({"area": ["north", "west", "north", "north"]}, "train/area", ["'west' (train row 1)"]),
        ({"miles": [1.0, float("inf"), 2.0, 3.0]}, "train/miles", ["Inf", "inf (train row 1)"]),
        ({"fare": [1.0, -5.0, 3.0, 4.0]}, "train/fare", ["-5.0 (train row 1)"]),
        ({"kind": ["card", "cash", "card", "gold"]}, "train/kind", ["gold' (train row 3)"]),
        ({"kind": ["card", None, None, "cash"]}, "train/kind", ["fraction", "null (train row 1), null (train row 2)"]),
    ],
)
def test_an_anomaly_names_the_rows(tmp_path, changes, name: str, parts: list[str]) -> None:
    found = checks(tmp_path, **changes)
    failed = [check for check in found.values() if not check.passes]
    assert [check.name for check in failed] == [name]
    for part in parts:
        assert part in failed[0].message
    assert failed[0].diagnostics["column"] == name.removeprefix("train/")
    assert {"split", "row", "value"} == set(failed[0].diagnostics["sample"][0])
