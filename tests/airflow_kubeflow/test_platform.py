"""A real scheduler and a real triggerer: remote failures, an API that is away, people, and SIGKILL."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator

import httpx
import pytest

from embedded.airflow_api import DagRun
from tests.airflow_kubeflow.airflow_platform import AirflowPlatform, wait_for
from tests.airflow_kubeflow.kubeflow_server import DONE, RUNNING, TOKEN, KubeflowServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
DAG_ID = "taxi_on_kubeflow"
DAGS = pathlib.Path(__file__).parent / "dags"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, server: KubeflowServer) -> Iterator[AirflowPlatform]:
    one = AirflowPlatform(
        tmp_path_factory.mktemp("platform") / "home", DAGS, {"AIRFLOW_CONN_KUBEFLOW_DEFAULT": server.connection()}
    )
    try:
        one.start(DAG_ID)
        yield one
    finally:
        one.stop()


@pytest.fixture
def kubeflow(server: KubeflowServer) -> Iterator[KubeflowServer]:
    server.steer(reset=True, script=[RUNNING])
    yield server
    assert server.told()["violations"] == []


@pytest.fixture
def deferred(platform: AirflowPlatform, kubeflow: KubeflowServer) -> DagRun:
    """A run that waits in the triggerer, and whose remote run is under way."""
    run = platform.api.trigger(DAG_ID, {})
    platform.wait_until(run, "deferred")
    wait_for(lambda: states(kubeflow, run) == ["RUNNING"], 300, "the triggerer looks at the run")
    return run


def states(kubeflow: KubeflowServer, run: DagRun) -> list[str]:
    """States of the remote runs that a DAG run has started."""
    return [remote["state"] for remote in kubeflow.runs_of(run.run_id)]


def test_success(platform: AirflowPlatform, kubeflow: KubeflowServer, deferred: DagRun) -> None:
    remote = kubeflow.runs_of(deferred.run_id)[0]
    ui = f"https://kubeflow.example.com/_/pipeline/#/runs/details/{remote['run_id']}"
    assert link(platform, deferred) == ui, "the link is there while the run is under way"
    kubeflow.end(**DONE)
    assert platform.finished(deferred) == "success"
    assert platform.api.result(deferred, "train")["ui"] == ui == link(platform, deferred)
    assert remote["display_name"].startswith("taxi, span 7 (airflow-")
    log = platform.log(deferred)
    assert "prepare RUNNING -> SUCCEEDED 1m30s" in log and TOKEN not in log
    assert platform.state(deferred, "look_again")[0] == "success"


def link(platform: AirflowPlatform, run: DagRun) -> str:
    client = platform.api._client
    path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/train/links"
    return str(client.get(path).json()["extra_links"]["Kubeflow run"])


def test_remote_failure_is_tried_again_with_a_fresh_run(
    platform: AirflowPlatform, kubeflow: KubeflowServer, deferred: DagRun
) -> None:
    kubeflow.end(state="FAILED", train="FAILED: The node was low on resource: memory")
    wait_for(lambda: len(states(kubeflow, deferred)) == 2, 300, "the second try's run")
    kubeflow.end(kubeflow.runs_of(deferred.run_id)[1]["run_id"], **DONE)
    assert platform.finished(deferred) == "success" and len(states(kubeflow, deferred)) == 2
    assert "failed in train: The node was low on resource: memory" in platform.log(deferred)


def test_remote_failure_that_a_person_has_to_mend(
    platform: AirflowPlatform, kubeflow: KubeflowServer, deferred: DagRun
) -> None:
    kubeflow.end(state="FAILED", train="FAILED: main: Error (exit code 2)")
    assert platform.finished(deferred) == "failed" and states(kubeflow, deferred) == ["FAILED"]


def test_bad_token_is_not_tried_again(platform: AirflowPlatform, kubeflow: KubeflowServer) -> None:
    kubeflow.steer(token="another")
    run = platform.api.trigger(DAG_ID, {})
    assert platform.finished(run) == "failed" and platform.state(run)[0] == "failed"
    assert "Put a valid token into the connection" in platform.log(run) and TOKEN not in platform.log(run)
    assert states(kubeflow, run) == []


def test_kfp_is_away(platform: AirflowPlatform, kubeflow: KubeflowServer, deferred: DagRun) -> None:
    kubeflow.kill()
    time.sleep(6)
    assert platform.state(deferred)[0] == "deferred"
    kubeflow.start()
    kubeflow.end(**DONE)
    assert platform.finished(deferred) == "success"
    assert states(kubeflow, deferred) == ["SUCCEEDED"]


def test_a_person_marks_it_failed(platform: AirflowPlatform, kubeflow: KubeflowServer, deferred: DagRun) -> None:
    platform.api.set_state(deferred, "train", "failed")
    wait_for(lambda: states(kubeflow, deferred)[0] in ("CANCELING", "CANCELED"), 300, "the remote run is terminated")
    assert len(states(kubeflow, deferred)) == 1


def test_a_person_clears_it(platform: AirflowPlatform, kubeflow: KubeflowServer, deferred: DagRun) -> None:
    cleared = {"dry_run": False, "task_ids": ["train"], "dag_run_id": deferred.run_id, "only_failed": False}
    answer = platform.api._client.post(f"/api/v2/dags/{DAG_ID}/clearTaskInstances", json=cleared)
    answer.raise_for_status()
    wait_for(lambda: len(states(kubeflow, deferred)) == 2, 300, "a fresh remote run")
    wait_for(
        lambda: states(kubeflow, deferred)[0] in ("CANCELING", "CANCELED"), 300, "the first remote run is terminated"
    )
    kubeflow.end(kubeflow.runs_of(deferred.run_id)[1]["run_id"], **DONE)
    assert platform.finished(deferred) == "success" and len(states(kubeflow, deferred)) == 2


def test_triggerer_and_scheduler_are_killed(
    platform: AirflowPlatform, kubeflow: KubeflowServer, deferred: DagRun
) -> None:
    platform.kill("triggerer", "scheduler")
    kubeflow.end(**DONE)
    for name in ("triggerer", "scheduler"):
        platform.components[name].start()
    assert platform.finished(deferred) == "success"
    assert states(kubeflow, deferred) == ["SUCCEEDED"]


def test_the_connections_form_and_its_test(platform: AirflowPlatform, kubeflow: KubeflowServer) -> None:
    pytest.importorskip("airflow_kubeflow")
    client: httpx.Client = platform.api._client
    forms = {one["connection_type"]: one for one in client.get("/ui/connections/hook_meta").json()}
    if "kubeflow" not in forms:
        pytest.skip("airflow-provider-kubeflow is not installed in this environment")
    assert forms["kubeflow"]["hook_name"] == "Kubeflow Pipelines"
    assert forms["kubeflow"]["standard_fields"]["password"]["title"] == "Token"
    assert {"namespace", "credentials_file", "cookie_secret", "verify"} <= set(forms["kubeflow"]["extra_fields"])
    body = json.loads(kubeflow.connection())
    body = {**body, "connection_id": "typed_in", "extra": json.dumps(body["extra"])}
    answer = client.post("/api/v2/connections/test", json=body).json()
    assert answer == {"status": True, "message": f"Kubeflow Pipelines answers at {kubeflow.url} (one user)."}
    answer = client.post("/api/v2/connections/test", json={**body, "password": "wrong"}).json()
    assert answer["status"] is False and "valid token" in answer["message"]
