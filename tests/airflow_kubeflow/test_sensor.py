from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_kubeflow.exceptions import KubeflowRunFailed
from airflow_kubeflow.hooks.kubeflow import KubeflowHook
from airflow_kubeflow.sensors.kubeflow import KubeflowRunSensor
from tests.airflow_kubeflow.kubeflow_server import DONE, RUNNING, KubeflowServer
from tests.airflow_kubeflow.test_hook import create
from tests.airflow_kubeflow.test_operator import context


@pytest.fixture
def run_id(kubeflow: KubeflowServer) -> str:
    kubeflow.steer(script=[RUNNING])
    with KubeflowHook() as hook:
        return create(hook)


def sensor(run_id: str, deferrable: bool = True) -> KubeflowRunSensor:
    return KubeflowRunSensor(task_id="wait", run_id=run_id, poke_interval=0.05, timeout=20, deferrable=deferrable)


def test_defers_while_the_run_is_under_way(kubeflow: KubeflowServer, run_id: str) -> None:
    with pytest.raises(TaskDeferred) as handed:
        sensor(run_id).execute(context())
    assert handed.value.trigger.serialize()[1]["terminate_on_kill"] is False, "it is somebody else's run"
    kubeflow.steer(refusals=[503] * 4)
    with pytest.raises(TaskDeferred):
        sensor(run_id).execute(context())


def test_the_runs_result(kubeflow: KubeflowServer, run_id: str) -> None:
    kubeflow.end(**DONE)
    given = context()
    result = sensor(run_id).execute(given)
    assert result["tasks"]["train"] == "SUCCEEDED" and result["ui"] == given["ti"].xcom["kubeflow_ui"]
    assert sensor(run_id, deferrable=False).execute(context()) == result


def test_failures(kubeflow: KubeflowServer, run_id: str) -> None:
    kubeflow.end(state="FAILED", train="FAILED: evicted")
    with pytest.raises(KubeflowRunFailed, match="failed in train: evicted"):
        sensor(run_id).execute(context())
    with pytest.raises(AirflowFailException, match="404 Run nosuch not found"):
        sensor("nosuch").execute(context())


def test_an_event_of_another_run_is_not_taken_for_this_ones(kubeflow: KubeflowServer, run_id: str) -> None:
    with pytest.raises(TaskDeferred) as handed:
        sensor(run_id).execute_complete(context(), {"kind": "refused", "error": "404", "run_id": "another"})
    assert handed.value.trigger.run_id == run_id
