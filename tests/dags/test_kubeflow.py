"""Retraining on Kubeflow by dag.test(): the provider's operator and trigger against the double of KFP's API."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

pytest.importorskip("airflow_kubeflow.operators", reason="the provider is not there yet")
kubeflow_server = pytest.importorskip("tests.airflow_kubeflow.kubeflow_server")

DAGS = Path(__file__).resolve().parents[2] / "dags"
TAXI = (
    "name: taxi\ntask: binary\ndata: {label: {column: y}}\nschedule: {runner: kubeflow, quiet_seconds: 0, retries: 1}\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from airflow.utils.db import initdb

    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    initdb()
    one = kubeflow_server.KubeflowServer(tmp_path_factory.mktemp("kubeflow"))
    one.start()
    yield one
    one.kill()


@pytest.fixture
def kubeflow(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """KFP, and a site whose workload taxi runs there from a file that came with the image."""
    server.steer(reset=True)
    monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", server.connection())
    for folder in ("workloads/taxi", "compiled", "home/data/taxi/span-12"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "workloads" / "taxi" / "workload.yaml").write_text(TAXI)
    (tmp_path / "home" / "data" / "taxi" / "span-12" / "a.csv").write_text("x\n1\n")
    shutil.copy(kubeflow_server.EXAMPLE, tmp_path / "compiled" / "taxi.yaml")
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path / "workloads"))
    monkeypatch.setenv("TRAINYARD_COMPILED", str(tmp_path / "compiled"))
    return server


def run() -> tuple[str, dict[str, str]]:
    dag_run = DagBag(DAGS).dags["retrain_taxi"].test()
    return str(dag_run.state), {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def test_a_run_there_is_waited_for_and_what_it_released_looked_up(kubeflow: Any) -> None:
    kubeflow.steer(script=[kubeflow_server.RUNNING, kubeflow_server.DONE])
    state, tasks = run()
    # The double publishes nothing: trained, and not released.
    assert (state, tasks) == (
        "success",
        dict.fromkeys(("resolve_span", "compile", "train"), "success")
        | dict.fromkeys(("release", "next_span"), "skipped"),
    )
    (remote,) = kubeflow.runs
    assert remote["runtime_config"]["parameters"]["span"] == 12
    assert json.dumps(kubeflow.told()["violations"]) == "[]"


def test_a_pipeline_that_was_not_compiled_with_the_image_is_named(kubeflow: Any, tmp_path: Path) -> None:
    (tmp_path / "compiled" / "taxi.yaml").unlink()
    state, tasks = run()
    assert (state, tasks["compile"], tasks["train"]) == ("failed", "failed", "upstream_failed")
    assert kubeflow.runs == []
