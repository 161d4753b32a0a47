"""Report as a TFX node: launched by TFX itself on artifacts that TFX recorded."""

from __future__ import annotations

import pathlib

from tfx.dsl.components.common import importer
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local import local_dag_runner
from tfx.types import standard_artifacts

from components.artifacts import DataQualityReport
from components.gates import CheckResult, GateResult
from components.report.component import Report
from spec.workload import Data, Label, Workload


def test_tfx_runs_it(tmp_path: pathlib.Path) -> None:
    quality = tmp_path / "quality"
    quality.mkdir()
    (quality / "gate.json").write_text(GateResult("DataQuality", (CheckResult("fare is known", True),)).to_json())
    (tmp_path / "examples").mkdir()
    examples = importer.Importer(
        source_uri=str(tmp_path / "examples"), artifact_type=standard_artifacts.Examples,
        custom_properties={"rows_out": 120, "digest": "sha256:feed"}, properties={"span": 7},
    ).with_id("ColumnarExampleGen")  # fmt: skip
    checked = importer.Importer(source_uri=str(quality), artifact_type=DataQualityReport).with_id("DataQuality")
    root = str(tmp_path / "root")
    report = Report(
        workload=Workload(name="taxi", task="binary", data=Data(label=Label(column="tip"))),
        pipeline_root=root,
        examples=examples.outputs["result"],
        data_quality=checked.outputs["result"],
    )
    config = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    local_dag_runner.LocalDagRunner().run(
        pipeline.Pipeline("report", root, metadata_connection_config=config, components=[examples, checked, report])
    )
    (page,) = (tmp_path / "root").glob("Report/report/*/index.html")
    text = page.read_text(encoding="utf-8")
    assert "fare is known" in text and "sha256:feed" in text and "Span 7" in text
    with metadata.Metadata(config) as store:
        (artifact,) = store.store.get_artifacts_by_type("RunReport")
        assert artifact.custom_properties["seconds"].double_value > 0
