"""The DAG of the guide by dag.test(): the task runner, the deferral and the trigger are Airflow's own."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from airflow.models.xcom import XComModel

from tests.airflow_kubeflow.kubeflow_server import CREATE, DONE, RUNNING, TOKEN, KubeflowServer

DAGS = pathlib.Path(__file__).parent / "dags"


@pytest.fixture
def dag(database: pathlib.Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(DAGS), include_examples=False)
    assert bag.import_errors == {}
    return bag.dags["taxi_on_kubeflow"]


def test_deferred_and_done(dag: Any, kubeflow: KubeflowServer, capsys: pytest.CaptureFixture[str]) -> None:
    kubeflow.steer(script=[RUNNING, DONE])
    run = dag.test(run_conf={"span": 12})
    assert run.state == "success"
    remote = kubeflow.runs[0]
    assert remote["runtime_config"]["parameters"] == {"span": 12, "rate": 0.01}
    assert remote["display_name"].startswith("taxi, span 12 (airflow-") and kubeflow.count(CREATE) == 1
    logged = capsys.readouterr()
    assert "prepare RUNNING -> SUCCEEDED 1m30s" in logged.out and TOKEN not in logged.out + logged.err
    (result,) = XComModel.get_many(run_id=run.run_id, task_ids="train", key="return_value", dag_ids=dag.dag_id)
    assert XComModel.deserialize_value(result)["run_id"] == remote["run_id"]


@pytest.mark.parametrize(
    ("step", "told"),
    [({"": "FAILED", "train": "FAILED: evicted"}, "failed in train: evicted"), ({"": "CANCELED"}, "ended by somebody")],
)
def test_remote_failure_fails_the_dag(
    dag: Any, kubeflow: KubeflowServer, capsys: pytest.CaptureFixture[str], step: dict[str, str], told: str
) -> None:
    kubeflow.steer(script=[RUNNING, step])
    run = dag.test()
    states = {ti.task_id: ti.state for ti in run.task_instances}
    assert (run.state, states["look_again"]) == ("failed", "upstream_failed")
    assert told in capsys.readouterr().out
