"""What a node writes for KFP's UI: accepted by KFP's strict parser, whatever the figures are."""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import signal
import subprocess
import sys

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from components.gates import CheckResult, GateFailed, GateResult
from pipelines.runners.kubeflow import node, shown
from pipelines.runners.kubeflow.executor_output import Shown, local_path, write


def executor_input(folder: pathlib.Path, **titles: str) -> str:
    artifacts = {
        name: {"artifacts": [{"name": name, "uri": str(folder / name), "type": {"schemaTitle": title}}]}
        for name, title in titles.items()
    }
    return json.dumps({"outputs": {"outputFile": str(folder / "out" / "output.json"), "artifacts": artifacts}})


def read(folder: pathlib.Path) -> dict[str, dict]:
    output = pipeline_spec_pb2.ExecutorOutput()
    json_format.Parse((folder / "out" / "output.json").read_text(), output)
    return {name: json_format.MessageToDict(listed.artifacts[0].metadata) for name, listed in output.artifacts.items()}


def test_what_kfp_would_refuse_is_left_out(tmp_path: pathlib.Path) -> None:
    figures = {"auc": 0.9, "precision": None, "loss": math.nan, "top": -math.inf, "blessed": True, "why": "text"}
    write(
        executor_input(tmp_path, metrics="system.Metrics", model="system.Model"),
        {"metrics": Shown(figures), "model": Shown(figures)},
    )
    assert read(tmp_path)["metrics"] == {"auc": 0.9, "blessed": 1.0}
    assert read(tmp_path)["model"] == {"auc": 0.9, "blessed": 1.0, "why": "text"}
    assert not (tmp_path / "metrics").exists()
    assert (tmp_path / "model").read_text() == "auc: 0.9\nblessed: 1\nwhy: text\n"


def test_an_output_with_nothing_to_show_has_its_file(tmp_path: pathlib.Path) -> None:
    shown.show(executor_input(tmp_path, report="system.HTML"), {"DataQuality": {}})
    assert read(tmp_path) == {"report": {}}
    assert "nothing to show" in (tmp_path / "report").read_text()


def test_it_never_fails_the_node(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("a file where a folder belongs")
    shown.show(executor_input(tmp_path, report="system.HTML"), {"DataQuality": {}})
    assert "are made and published all the same" in capfd.readouterr().out


@pytest.mark.parametrize("filled_in", [False, True])
def test_the_line_names_the_evidence_of_a_gate(filled_in: bool) -> None:
    part = pipeline_pb2.Pipeline()
    root = part.runtime_spec.pipeline_root.runtime_parameter
    root.name, root.type, root.default_value.string_value = "pipeline-root", root.STRING, "s3://bucket/pipelines/taxi"
    if filled_in:  # as running the node leaves it
        runtime_parameter_utils.substitute_runtime_parameter(part, {"pipeline-run-id": "1"})
    options = argparse.Namespace(run_id="2026-11-21T10:00")
    gate = node._Node("DataQuality", part, bindings={}, earlier=None)
    wrapped = RuntimeError("as TFX raises it")
    wrapped.__cause__ = GateFailed(GateResult("DataQuality", (CheckResult("fare is known", False),)))
    said = node._where_the_evidence_is(gate, options, wrapped)
    assert said.endswith("s3://bucket/pipelines/taxi/_gates/2026-11-21T10-00/DataQuality")
    assert node._where_the_evidence_is(gate, options, RuntimeError("something else")) == ""


def test_the_line_is_the_pods_termination_message(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(node, "_TERMINATION_LOG", tmp_path / "termination-log")
    assert node._failed("no such column", 2) == 2 and not (tmp_path / "termination-log").exists()
    (tmp_path / "termination-log").touch()
    node._failed("x" * 5000, 1)
    assert (tmp_path / "termination-log").stat().st_size == 4096
    assert capfd.readouterr().err.startswith("trainyard: no such column\ntrainyard: xxx")


def test_a_pod_that_is_deleted_says_so() -> None:
    """SIGTERM is what Kubernetes sends; the process ends by it, as one without a handler does."""
    code = (
        "import functools, os, signal, time; from pipelines.runners.kubeflow import node; "
        "signal.signal(signal.SIGTERM, functools.partial(node._told_to_end, 'Trainer', os.getpid())); "
        "print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert err.startswith("trainyard: Trainer: its pod was told to end (a drained node, spot, eviction")


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("s3://bucket/a/b", "/s3/bucket/a/b"),
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("minio://mlpipeline/v2/a", "/minio/mlpipeline/v2/a"),
        ("/tmp/a", "/tmp/a"),
    ],
)
def test_where_kfps_launcher_looks(uri: str, path: str) -> None:
    assert str(local_path(uri)) == path
