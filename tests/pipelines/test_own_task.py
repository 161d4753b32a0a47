"""A use case that brings its own task, without a label, through the whole pipeline: docs/guides/add-a-task.md as it stands."""

from __future__ import annotations

import json
import pathlib
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from model_store import ModelStore
from pipelines.predict import PredictRequest, predict
from pipelines.run import Display, RunRequest, run
from spec import home
from spec.workload import load_workload

GUIDE = home.ROOT / "docs" / "guides" / "add-a-task.md"
SCHEMA = """
feature { name: "warmth" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "damp" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "light" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "room" type: BYTES presence { min_fraction: 1.0 } shape {} }
"""
SUITE = """
{"name": "readings", "meta": {}, "expectations": [
  {"type": "expect_column_values_to_be_between", "kwargs": {"column": "warmth", "min_value": -50, "max_value": 60}, "meta": {},
   "severity": "critical"}
]}
"""
FEATURES = """
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    return {name: tft.scale_to_z_score(inputs[name]) for name in ("warmth", "damp", "light")}
"""


def readings(rows: int = 600, seed: int = 0) -> str:
    """CSV of three made-up sensors that two causes drive, in two rooms."""
    random = np.random.default_rng(seed)
    lines = ["warmth,damp,light,room"]
    for day, hour in random.normal(size=(rows, 2)):
        values = (20 + 4 * day, 50 - 8 * day + 2 * hour, 300 + 90 * hour)
        lines.append(",".join(f"{value:.3f}" for value in values) + f",{random.choice(['hall', 'attic'])}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def use_case(places: pathlib.Path) -> pathlib.Path:
    workload, task, model = re.findall(r"```(?:yaml|python)\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    folder, contracts = places / "workloads" / "readings", places / "schemas" / "readings"
    data = home.data_root() / "readings" / "span-1"
    files = {
        folder: {"workload.yaml": workload, "task.py": task, "model.py": model, "features.py": FEATURES},
        contracts: {"schema.pbtxt": SCHEMA, "expectations.json": SUITE},
        data: {"readings.csv": readings()},
    }
    for where, contents in files.items():
        where.mkdir(parents=True)
        for name, content in contents.items():
            (where / name).write_text(content)
    return folder


@pytest.mark.slow
def test_it_reaches_a_release_and_answers(use_case: pathlib.Path, tmp_path: pathlib.Path) -> None:
    workload = load_workload(use_case)
    assert workload.data.label is None and workload.champion_metric == "reconstruction_error"
    result = run(RunRequest("readings", None, (), 5), Display())
    assert (result.error, result.status) == (None, "succeeded")
    assert "Baseline" not in {one.id for one in result.components}, "there is nothing that trees could learn"
    assert result.blessed and result.metrics["reconstruction_error"] < 0.5
    assert ModelStore(home.store_uri()).verify("readings", 1) == ()
    report = pathlib.Path(result.reports["run"]).read_text()
    assert "<h3>Reconstruction errors</h3>" in report and "The farther right, the stranger the row." in report
    release = ModelStore(home.store_uri()).release("readings", 1)
    assert release.metrics["label"] is None and release.metrics["bounds"]["reconstruction_error"]["gated"]
    described = json.loads((pathlib.Path(result.release["uri"]) / "assets.extra" / "trainyard.json").read_text())
    assert described["label"] is None and described["task"] == "readings.task.Reconstruction"

    ModelStore(home.store_uri()).promote("readings", 1, reason="test", actor="test")
    (tmp_path / "new.csv").write_text(readings(20, seed=1) + "20,500,300,hall\n")
    asked = predict(PredictRequest("readings", str(tmp_path / "new.csv"), tmp_path / "out", wait_s=5), Display())
    assert asked.status == "succeeded", asked.error
    (shard,) = (tmp_path / "out").glob("predictions-*")
    table = pq.read_table(shard)
    assert table.column_names == ["file", "row", "error", "model_version"]
    errors = table["error"].to_numpy()
    assert errors[-1] > 10 * np.median(errors), "dampness that no day explains"
