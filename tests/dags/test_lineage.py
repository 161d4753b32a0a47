"""What OpenLineage's provider collects of a retraining, by its own listener and file transport."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dags.test_runs import TAXI
from tests.embedded.doubles import make_environments

# A process of its own: the provider's listener reads its settings when Airflow is imported.
RETRAIN = """
import pathlib
from tests.dags.test_runs import land, run
from spec import home
land(home.data_root(), 1)
land(home.data_root(), 2, exit=2, reasons=["fare is null in 40 rows"])
print(run("retrain_taxi", span=1), run("retrain_taxi", span=2))
"""


def test_the_provider_collects_data_verdicts_and_release(tmp_path: Path) -> None:
    pytest.importorskip(
        "airflow.providers.openlineage", reason="OpenLineage's provider is in the group airflow-cluster"
    )
    workload, events = tmp_path / "workloads" / "taxi" / "workload.yaml", tmp_path / "events.jsonl"
    workload.parent.mkdir(parents=True)
    workload.write_text(TAXI)
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "file", "log_file_path": str(events), "append": True}),
        "TRAINYARD_HOME": str(tmp_path / "home"),
        "TRAINYARD_WORKLOADS": str(tmp_path / "workloads"),
        "TRAINYARD_VENVS": str(make_environments(tmp_path / "environments")),
    }
    for command in (["-m", "airflow", "db", "migrate"], ["-c", RETRAIN]):
        done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
    ended = {
        (event["job"]["name"], event["eventType"], "span-2" in json.dumps(event["inputs"])): event
        for event in map(json.loads, events.read_text().splitlines())
        if event["eventType"] != "START"
    }
    released = ended["retrain_taxi.release", "COMPLETE", False]
    (data,), (model,) = released["inputs"], released["outputs"]
    assert (data["namespace"], data["name"]) == ("file", str(tmp_path / "home" / "data" / "taxi" / "span-1"))
    assert (model["name"], model["facets"]["version"]["datasetVersion"]) == (f"{tmp_path}/home/models/taxi", "1")
    (refused,) = ended["retrain_taxi.check_quality", "FAIL", True]["inputs"]
    assertions = refused["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [one["success"] for one in assertions] == [False, False]
    assert assertions[1]["assertion"] == "DataQuality: fare is null in 40 rows"
