"""Whole DAGs, run task by task by Airflow (`dag.test()`), with a stand-in for the pipelines environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from model_store import ModelStore
from tests.embedded.doubles import make_environments

DAGS = Path(__file__).resolve().parents[2] / "dags"
TAXI = """
name: taxi
task: binary
owner: team-a
data: {label: {column: y}}
schedule: {quiet_seconds: 0, retries: 1}
batch: {uri: "{DATA}/_inbox/{WORKLOAD}/*.csv"}
"""
GATES = ("check_schema", "check_quality", "check_drift")


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return make_environments(tmp_path_factory.mktemp("environments"))


@pytest.fixture
def data(environments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The landing folder of a site with one workload, taxi."""
    (tmp_path / "workloads" / "taxi").mkdir(parents=True)
    (tmp_path / "workloads" / "taxi" / "workload.yaml").write_text(TAXI)
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path / "workloads"))
    monkeypatch.setenv("TRAINYARD_VENVS", str(environments))
    monkeypatch.setenv("PYTHONPATH", str(DAGS.parent))
    return tmp_path / "home" / "data"


def run(dag_id: str, **conf: Any) -> tuple[str, dict[str, list[str]]]:
    """The run's state, and by task the states of its instances."""
    dag = DagBag(DAGS).dags[dag_id]
    dag_run = dag.test(run_conf=conf)
    states: dict[str, list[str]] = {}
    for ti in sorted(dag_run.get_task_instances(), key=lambda ti: ti.map_index):
        states.setdefault(ti.task_id, []).append(str(ti.state))
    return str(dag_run.state), states


def land(data: Path, span: int, **steering: Any) -> None:
    folder = data / "taxi" / f"span-{span}"
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_text(json.dumps(steering))


def all_of(*names: str, state: str = "success") -> dict[str, list[str]]:
    return {name: [state] for name in names}


def test_retraining_from_data_to_release_and_nothing_new_after_it(data: Path, tmp_path: Path) -> None:
    land(data, 1)
    state, tasks = run("retrain_taxi")
    assert (state, tasks.pop("next_span")) == ("success", ["skipped"])
    assert tasks == all_of("resolve_span", "read_data", *GATES, "train", "release")
    store = ModelStore(tmp_path / "home" / "models")
    assert store.versions("taxi") == [1]
    store.promote("taxi", 1, reason="deployed", actor="test")
    state, tasks = run("retrain_taxi")
    assert (state, tasks.pop("resolve_span")) == ("success", ["success"])
    assert tasks == all_of("read_data", *GATES, "train", "release", "next_span", state="skipped")


def test_bad_data_stops_at_its_gate_and_worse_models_at_theirs(data: Path) -> None:
    land(data, 1, exit=2, reasons=["fare, 17 rows: negative"])
    state, tasks = run("retrain_taxi")
    assert (state, tasks.pop("check_quality"), tasks.pop("train")) == ("failed", ["failed"], ["upstream_failed"])
    passed = all_of("resolve_span", "read_data", "check_schema", "check_drift")
    assert tasks == passed | {"release": ["upstream_failed"], "next_span": ["skipped"]}, (
        "the other gates' verdicts are seen all the same"
    )
    assert run("retrain_taxi", span=None)[1]["resolve_span"] == ["success"], "a person may have it tried again"
    land(data, 2, blessed=False, reasons=["auc 0.71 is below 0.92"])
    state, tasks = run("retrain_taxi")
    assert (state, tasks["train"], tasks["release"]) == ("success", ["success"], ["skipped"])


def test_what_landed_meanwhile_starts_a_further_run(data: Path) -> None:
    land(data, 31)
    assert run("retrain_taxi")[0] == "success"
    for span in (32, 33):
        land(data, span)
    state, tasks = run("retrain_taxi")
    assert (state, tasks["train"], tasks["next_span"]) == ("success", ["success"], ["success"]), "32, and then 33"


def test_data_quality_alone(data: Path) -> None:
    state, tasks = run("data_quality_taxi")
    assert (state, tasks["newest_span"], tasks["read_data"]) == ("success", ["skipped"], ["skipped"])
    land(data, 1)
    expected = all_of("newest_span", "read_data", *GATES, "publish_report")
    assert run("data_quality_taxi") == ("success", expected)


def test_what_a_gate_refused_is_published_and_the_run_is_red(data: Path) -> None:
    land(data, 1, exit=2, gate="DriftDetector", reasons=["fare has moved"])
    state, tasks = run("data_quality_taxi")
    assert state == "failed" and tasks.pop("check_drift") == ["failed"]
    assert tasks == all_of("newest_span", "read_data", "check_schema", "check_quality", "publish_report")


def test_data_that_cannot_be_read_is_not_the_gates_fault(data: Path) -> None:
    land(data, 1, exit=2, gate=None, reasons=["trips.csv, line 7: 3 columns instead of 18"])
    state, tasks = run("data_quality_taxi")
    assert (state, tasks.pop("newest_span"), tasks.pop("read_data")) == ("failed", ["success"], ["failed"])
    assert tasks == all_of(*GATES, "publish_report", state="upstream_failed")


def test_every_file_is_predicted_for_once(data: Path) -> None:
    inbox, out = data / "_inbox" / "taxi", data / "_predictions" / "taxi"
    inbox.mkdir(parents=True)
    assert run("batch_predict_taxi")[1]["find_files"] == ["skipped"]
    for name, text in (("a.csv", "1\n2\n"), ("b.csv", "bad"), ("c.csv", "3\n"), ("d.csv.part", "4\n")):
        (inbox / name).write_text(text)
    state, tasks = run("batch_predict_taxi")
    assert (state, tasks["predict"]) == ("failed", ["success", "failed", "success"])
    assert tasks["announce_predictions"] == ["upstream_failed"]
    index = json.loads((out / "index.json").read_text())
    assert index["totals"] == {"predicted": 2, "refused": 1, "pending": 0, "rows": 3, "failed_rows": 0}
    (refused,) = (one for one in index["files"] if one["status"] == "refused")
    assert "line 1: no column fare" in refused["reason"]
    before = {file: file.read_text() for file in out.glob("*/index.json")}

    assert run("batch_predict_taxi")[1]["find_files"] == ["skipped"], "a file that was refused is not tried again"
    (inbox / "b.csv").write_text("5\n6\n7\n")
    assert run("batch_predict_taxi") == (
        "success",
        all_of("find_files", "predict", "write_index", "announce_predictions"),
    )
    assert json.loads((out / "index.json").read_text())["totals"]["predicted"] == 3
    assert {file: file.read_text() for file in before} == before, "what was predicted is not touched"


def test_backfill_plans_a_run_for_each_span(data: Path) -> None:
    from dags.backfill import planned

    runs = planned("taxi", "2-4", "manual__1")
    assert [one["conf"] for one in runs] == [{"span": 2}, {"span": 3}, {"span": 4}]
    assert len({one["trigger_run_id"] for one in runs}) == 3 and runs == planned("taxi", "2-4", "manual__1")
    state, tasks = run("backfill", workload="taxi", spans="5-3")
    assert (state, tasks["plan"]) == ("failed", ["failed"])


def test_housekeeping_is_a_dry_run_until_told_otherwise(data: Path) -> None:
    state, tasks = run("housekeeping")
    assert (state, tasks["find_old"], tasks["delete_old"]) == ("success", ["success"], ["skipped"])
    assert run("housekeeping", dry_run=False) == ("success", all_of("find_old", "confirm", "delete_old"))
