"""The look at a model in use: which labels are taken in, what a broken bound starts, and that it starts it once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models import DagRun
from airflow.sdk.exceptions import AirflowSkipException
from airflow.utils.session import create_session

from dags import live
from model_store import ModelStore, ReleaseDraft

DAGS = Path(__file__).resolve().parents[2] / "dags"
TAXI = """
name: taxi
task: binary
data: {label: {column: y}}
"""
REASON = "accuracy 0.5000 is below 0.9 on 500 rows with a label"


@pytest.fixture(scope="module", autouse=True)
def database() -> None:
    done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture
def site(cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with a stable release of taxi, a record of its requests, labels of them, and the stand-in for the command."""
    (tmp_path / "workloads" / "taxi").mkdir(parents=True)
    (tmp_path / "workloads" / "taxi" / "workload.yaml").write_text(TAXI)
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path / "workloads"))
    (tmp_path / "record" / "taxi" / "labels").mkdir(parents=True)
    (tmp_path / "record" / "taxi" / "1.jsonl").write_text("{}\n")
    (tmp_path / "record" / "taxi" / "labels" / "1.parquet").write_bytes(b"")
    monkeypatch.setenv("TRAINYARD_RECORD", str(tmp_path / "record"))
    stand_in = tmp_path / "pipelines" / "bin" / "python"  # what requests look like is not the matter here
    script = stand_in.read_text()
    stand_in.write_text(script.replace("exit $(cat", '[ "$4" = skew ] && exit 0; exit $(cat'))
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "saved_model.pb").write_bytes(b"x")
    store = ModelStore(tmp_path / "home" / "models")
    store.publish("taxi", tmp_path / "export", ReleaseDraft(publication_key="1", task="binary"))
    store.promote("taxi", 1, reason="test", actor="test")
    return tmp_path


@pytest.fixture
def alerts_sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Title and text of each alert, besides those of tasks that failed."""
    sent: list[tuple[str, str]] = []

    def send(workload: Any, title: str, text: str, *more: Any) -> None:
        if not title.endswith(" failed"):
            sent.append((title, text))

    monkeypatch.setattr(live.alerts, "send", send)
    return sent


def say(site: Path, breach: dict[str, Any] | None = None) -> None:
    """What the stand-in prints, whichever command it is asked for."""
    version = {"version": 1, "verdicts": {"accuracy": ["failed" if breach else "passed", REASON]}}
    found = {"headline": "How it does.", "versions": [version], "breach": breach, "page": str(site / "home" / "page")}
    (site / "said.json").write_text(json.dumps(found | {"outcome": "passed", "checks": []}))
    (site / "exit").write_text("2" if breach else "0")


def breach(then: str, version: int, **more: Any) -> dict[str, Any]:
    words = f"version {version}: {REASON}"
    said = {"id": f"v{version}-accuracy", "version": version, "then": then, "to": None, "refused": "", "words": words}
    return said | more


def run() -> tuple[str, dict[str, str]]:
    """The run's state, and its tasks'; the comparison of requests has tests of its own."""
    done = DagBag(DAGS).dags["monitor_taxi"].test()
    states = {ti.task_id: str(ti.state) for ti in done.get_task_instances()}
    del states["check_skew"]
    return str(done.state), states


def started(dag_id: str) -> dict[str, Any]:
    """The runs of a DAG that a monitoring has started: id -> conf."""
    with create_session() as session:
        found = session.query(DagRun).filter(DagRun.dag_id == dag_id).all()
        return {one.run_id: one.conf for one in found if one.run_id.startswith("live_")}


def test_a_model_that_does_well_is_left_alone(site: Path, alerts_sent: list[Any]) -> None:
    say(site)
    state, tasks = run()
    assert (state, tasks) == ("success", {"take_feedback": "skipped", "judge_live": "success", "act": "skipped"})
    assert "live taxi --json" in (site / "arguments").read_text() and not alerts_sent


def test_a_retraining_is_started_once_for_a_version(site: Path, alerts_sent: list[Any]) -> None:
    say(site, breach("retrain", 1))
    assert run()[1]["act"] == "success"
    assert started("retrain_taxi") == {"live_v1-accuracy": {}}
    assert alerts_sent == [
        (
            "version 1 breaks a live bound: retraining",
            f"version 1: {REASON}.\nStarted: run live_v1-accuracy of retrain_taxi.",
        )
    ]
    assert run() == ("success", {"take_feedback": "skipped", "judge_live": "success", "act": "skipped"}), "not again"
    assert len(started("retrain_taxi")) == 1 and len(alerts_sent) == 1


def test_a_rollback_is_the_deployment_s(site: Path, alerts_sent: list[Any]) -> None:
    say(site, breach("rollback", 3, to=1))
    assert run()[1]["act"] == "success"
    conf = {"action": "rollback", "version": 1, "reason": f"live metrics: version 3: {REASON}"}
    assert started("deploy_taxi") == {"live_v3-accuracy": conf}
    assert alerts_sent[0][0] == "version 3 breaks a live bound: going back to version 1"


@pytest.mark.parametrize(
    "found", [breach("alert", 4), breach("rollback", 5, refused="version 1 is known to be no better")]
)
def test_what_people_have_to_decide_is_red(site: Path, found: dict[str, Any]) -> None:
    before = started("deploy_taxi") | started("retrain_taxi")
    say(site, found)
    state, tasks = run()
    assert (state, tasks["judge_live"], tasks["act"]) == ("failed", "success", "failed")
    assert started("deploy_taxi") | started("retrain_taxi") == before


def test_nothing_to_look_at_is_a_skip(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say(site)
    (site / "record" / "taxi" / "labels" / "1.parquet").unlink()
    assert run()[1] == {"take_feedback": "skipped", "judge_live": "skipped", "act": "skipped"}
    monkeypatch.delenv("TRAINYARD_RECORD")
    for task in ("take_feedback", "judge_live"):
        with pytest.raises(AirflowSkipException, match="no record of requests is kept"):
            DagBag(DAGS).dags["monitor_taxi"].get_task(task).execute({})
    arguments = site / "arguments"
    assert not arguments.exists() or " live " not in arguments.read_text()


def test_labels_that_cannot_be_used_are_told(site: Path, alerts_sent: list[Any]) -> None:
    folder = site / "home" / "data" / "_feedback" / "taxi"
    folder.mkdir(parents=True)
    (folder / "monday.csv").write_text("request_id,label\n")
    bad = {"file": "monday.csv", "kept": 3, "refused": 1, "problems": ["row 2: label: is missing."], "known": False}
    (site / "said.json").write_text(json.dumps({"kept": 3, "refused": 1, "files": [bad, bad | {"problems": []}]}))
    (site / "exit").write_text("2")
    task = DagBag(DAGS).dags["monitor_taxi"].get_task("take_feedback")
    assert task.execute({}) == {"kept": 3, "refused": 1}
    assert alerts_sent == [
        ("labels could not be used", "monday.csv: 3 labels kept, 1 refused\nrow 2: label: is missing.")
    ]
