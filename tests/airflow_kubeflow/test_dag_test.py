"""The DAG of the guide by dag.test(): the task runner, the deferral and the trigger are Airflow's own."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

import airflow_kubeflow
from tests.airflow_kubeflow.kubeflow_server import CREATE, DONE, EXAMPLE, RUNNING, TOKEN, KubeflowServer

DAGS = pathlib.Path(__file__).parent / "dags"


def loaded(folder: pathlib.Path, dag_id: str) -> Any:
    """A folder's DAG, known to Airflow's database."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    bag = DagBag(str(folder), bundle_path=folder, bundle_name=folder.name)
    assert bag.import_errors == {}
    with create_session() as session:
        session.merge(DagBundleModel(name=folder.name))
    sync_bag_to_db(bag, folder.name, None)
    return bag.dags[dag_id]


@pytest.fixture
def dag(database: pathlib.Path) -> Any:
    return loaded(DAGS, "taxi_on_kubeflow")


def test_the_providers_example(database: pathlib.Path, kubeflow: KubeflowServer) -> None:
    kubeflow.steer(script=[RUNNING, DONE])
    dag = loaded(pathlib.Path(airflow_kubeflow.__file__).parent / "example_dags", "example_kubeflow")
    dag.get_task("run_pipeline").poll_interval = 0.1
    assert dag.test(run_conf={"pipeline_file": str(EXAMPLE), "span": 12}).state == "success"
    assert kubeflow.runs[0]["runtime_config"]["parameters"] == {"span": 12} and kubeflow.count(CREATE) == 1


def test_deferred_and_done(dag: Any, kubeflow: KubeflowServer, capsys: pytest.CaptureFixture[str]) -> None:
    kubeflow.steer(script=[RUNNING, DONE])
    run = dag.test(run_conf={"span": 12})
    assert run.state == "success"
    remote = kubeflow.runs[0]
    assert remote["runtime_config"]["parameters"] == {"span": 12, "rate": 0.01}
    assert remote["display_name"].startswith("taxi, span 12 (airflow-") and kubeflow.count(CREATE) == 1
    logged = capsys.readouterr()
    assert "prepare RUNNING -> SUCCEEDED 1m30s" in logged.out and TOKEN not in logged.out + logged.err
    ti = run.get_task_instance("look_again")
    assert ti.xcom_pull("train")["run_id"] == ti.xcom_pull("look_again")["run_id"] == remote["run_id"]


@pytest.mark.parametrize(
    ("step", "told", "submitted"),
    [
        ({"": "FAILED", "train": "FAILED: evicted"}, "failed in train: evicted", 3),
        ({"": "CANCELED"}, "ended by somebody", 1),
    ],
)
def test_remote_failure_fails_the_dag(
    dag: Any,
    kubeflow: KubeflowServer,
    capsys: pytest.CaptureFixture[str],
    step: dict[str, str],
    told: str,
    submitted: int,
) -> None:
    kubeflow.steer(script=[RUNNING, step])
    run = dag.test()
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    assert (run.state, states["look_again"]) == ("failed", "upstream_failed")
    assert told in capsys.readouterr().out
    assert kubeflow.count(CREATE) == submitted
