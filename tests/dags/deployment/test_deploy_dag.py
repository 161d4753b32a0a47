"""`deploy_<workload>` run by Airflow itself (dag.test()), against the real store and model server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from dags.deploy import build_deploy_dag
from model_store import ModelStore
from spec.workload import Workload
from tests.dags.deployment.conftest import Traffic

pytestmark = pytest.mark.slow

LENIENT = {"latency_budget_ms": 60_000, "max_changed_answers": 0.15}
LIMITS = {"min_requests": 60, "prediction_drift": 0.3, "p99_ms": 60_000}


@pytest.fixture(scope="session")
def database() -> None:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


def deploy_dag(**serving: Any) -> DAG:
    said = {"name": "taxi", "task": "binary", "data": {"label": {"column": "y"}}, "serving": {**LENIENT, **serving}}
    return build_deploy_dag(Workload.model_validate(said))


def run(dag: DAG, **params: Any) -> tuple[str, dict[str, str]]:
    """The run's state, and its tasks'."""
    found = dag.test(run_conf=params)
    return found.state, {one.task_id: str(one.state) for one in found.get_task_instances()}


def test_release_is_deployed_without_traffic_in_one_step(database: None, store: ModelStore) -> None:
    state, tasks = run(deploy_dag(), version=2)
    assert state == "success"
    skipped = {"roll_back", "return_to_release"}
    assert tasks == {task: "skipped" if task in skipped else "success" for task in tasks}
    assert store.labels("taxi") == {"stable": 2}
    state, tasks = run(deploy_dag(), version=2)
    assert (state, tasks["resolve_release"], tasks["notify"]) == ("success", "skipped", "skipped")


def test_steps_follow_each_other_under_traffic(
    database: None, store: ModelStore, traffic: Callable[[], Traffic]
) -> None:
    steps = [{"share": 0.2, "minutes": 0.05}, {"share": 0.6, "minutes": 0.05}]
    dag = deploy_dag(canary={"steps": steps, "limits": {**LIMITS, "min_requests": 5, "prediction_drift": 1}})
    with traffic() as clients:
        state, tasks = run(dag, version=2)
    assert (state, tasks["watch_1"], tasks["watch_2"], tasks["promote"]) == ("success",) * 4
    shares = [entry.reason for entry in store.history("taxi") if entry.action == "share canary"]
    assert shares == ["0.2: canary step 1", "0.6: canary step 2"]
    assert set(clients.statuses) == {200}


def test_drifting_canary_is_rolled_back_and_refused_from_then_on(
    database: None, store: ModelStore, traffic: Callable[[], Traffic], caplog: pytest.LogCaptureFixture
) -> None:
    steps = [{"share": 0.5, "minutes": 30}]
    dag = deploy_dag(max_changed_answers=1, canary={"steps": steps, "limits": LIMITS})
    with traffic() as clients:
        state, tasks = run(dag, version=3)
        assert (state, tasks["compare_answers"], tasks["watch_1"]) == ("failed", "success", "failed")
        assert (tasks["roll_back"], tasks["notify"], tasks["announce_deployment"]) == (
            "success",
            "success",
            "upstream_failed",
        )
        assert store.label_details("taxi")["stable"].version == 1 and "canary" not in store.labels("taxi")
    assert set(clients.statuses) == {200}
    entry = store.rolled_back("taxi", 3)
    assert entry is not None and "deployment failed at watch_1" in entry.reason
    state, tasks = run(dag, version=3)
    assert (state, tasks["resolve_release"], tasks["verify"]) == ("failed", "failed", "upstream_failed")
    state, tasks = run(deploy_dag(max_changed_answers=1), version=3, force=True)
    assert (state, store.labels("taxi")) == ("success", {"stable": 3})
    forced = [entry.reason for entry in store.history("taxi") if entry.action == "set canary"][-1]
    assert "forced by" in forced and "was rolled back before" in forced


def test_going_back_by_hand_takes_one_step(database: None, store: ModelStore) -> None:
    store.promote("taxi", 2, reason="test", actor="test")
    state, tasks = run(deploy_dag(), action="rollback", reason="auc is 0.6")
    assert store.history("taxi")[-1].reason.endswith(": auc is 0.6")
    assert (state, store.labels("taxi")) == ("success", {"stable": 1})
    assert (tasks["return_to_release"], tasks["announce_deployment"]) == ("success", "success")
    assert (tasks["verify"], tasks["promote"], tasks["roll_back"]) == ("skipped",) * 3
    state, tasks = run(deploy_dag(), action="rollback", version=99)
    assert (state, tasks["resolve_release"], tasks["return_to_release"]) == ("failed", "failed", "upstream_failed")


def test_a_release_that_loads_slowly_is_waited_for_without_a_worker(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = deploy_dag().get_task("infra_check")
    assert check.mode == "reschedule"
    release = {"version": 2, "previous": 1, "despite": ""}
    context = {"ti": SimpleNamespace(xcom_pull=lambda task_ids: release)}
    monkeypatch.setattr("dags.deploy.LOAD_PATIENCE_S", 0.0)
    assert check.python_callable(**context) is False, "the server has not seen the label yet"
    monkeypatch.setattr("dags.deploy.LOAD_PATIENCE_S", 60.0)
    assert check.python_callable(**context) is True
