"""Nothing that is shown of data holds a value of a column about persons."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.types import standard_artifacts

from components import border
from components.artifacts import DataDrift
from components.drift.executor import Executor as DriftExecutor
from components.report.statistics import read_statistics
from components.statistics.executor import Executor as StatisticsExecutor
from spec.workload import Drift

SCHEMA = """
feature { name: "fare" type: FLOAT }
feature { name: "passenger" type: BYTES annotation { tag: "personal" } }
feature { name: "title" type: BYTES annotation { tag: "personal" } string_domain { value: "Ms" value: "Mr" } }
feature { name: "phone" type: INT annotation { tag: "personal" } }
"""
PHONE = 491701234567


def test_statistics_and_drift(tmp_path: pathlib.Path, examples_artifact: Callable[..., Any]) -> None:
    rows = 600
    table = pa.table(
        {
            "fare": [float(i) for i in range(rows)],
            "passenger": [f"Anna {i % 7} Personal" for i in range(rows)],
            "title": ["Sir Secret" if i % 10 == 0 else "Ms" for i in range(rows)],
            "phone": [PHONE + i for i in range(rows)],
        }
    )
    examples, schema = examples_artifact(table), standard_artifacts.Schema()
    schema.uri = str(tmp_path / "schema")
    pathlib.Path(schema.uri).mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text(SCHEMA)
    statistics, drift = standard_artifacts.ExampleStatistics(), DataDrift()
    statistics.uri, drift.uri = str(tmp_path / "statistics"), str(tmp_path / "drift")
    inputs = {"examples": [examples], "schema": [schema]}
    context = base_beam_executor.BaseBeamExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
    StatisticsExecutor(context).Do(inputs, {"statistics": [statistics]}, {})
    allowed = border.dump(Drift(slices=("title",), min_rows=1))
    properties = {"allowed": allowed, "label": "", "pipeline_root": str(tmp_path), "baseline": ""}
    DriftExecutor(base_executor.BaseExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")).Do(
        inputs, {"drift": [drift]}, properties
    )
    left = [path for name in ("statistics", "drift") for path in (tmp_path / name).rglob("*") if path.is_file()]
    # profile.json is what the next span is compared with: it keeps the values, and nothing shows it.
    written = b"".join(path.read_bytes() for path in left if path.name != "profile.json")
    assert len(left) == 5 and b"(personal)" in written and b"fare" in written
    assert b"Anna" not in written and b"Secret" not in written and str(PHONE)[:8].encode() not in written
    loaded = tfdv.load_stats_binary(str(tmp_path / "statistics" / "Split-train" / "FeatureStats.pb"))
    anomalies = tfdv.validate_statistics(loaded, tfdv.load_schema_text(str(tmp_path / "schema" / "schema.pbtxt")))
    assert "(personal) (~10%)" in anomalies.anomaly_info["title"].description
    found = read_statistics(tmp_path / "statistics")
    assert found is not None
    phone = next(column for column in found.columns if column.name == "phone").splits["train"]
    assert phone.minimum is None and phone.missing == 0
