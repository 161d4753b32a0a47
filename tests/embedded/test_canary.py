"""A canary under traffic on the real platform: real scheduler, triggerer and model server, and what is killed meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from embedded.airflow_api import FINISHED, DagRun
from embedded.settings import Ports
from embedded.supervisor import read_state
from model_store import ModelStore, ReleaseDraft
from tests.dags.deployment.conftest import MAKE_MODELS, ROOT, ROW, SERVING, VERSIONS, Traffic
from tests.embedded.conftest import Home, Running, wait_for

pytestmark = pytest.mark.slow

WORKLOAD = {
    "name": "taxi",
    "task": "binary",
    "data": {"label": {"column": "y"}},
    "serving": {
        "latency_budget_ms": 60_000,
        "canary": {
            "steps": [{"share": 0.5, "minutes": 60}],
            "limits": {"min_requests": 100, "p99_ms": 60_000},
        },
    },
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform whose canaries are watched for an hour, and a store with VERSIONS of which the first is stable."""
    folder = tmp_path_factory.mktemp("canary")
    subprocess.run([SERVING, "-c", MAKE_MODELS, str(folder / "exports")], cwd=ROOT, check=True, capture_output=True)
    home = Home(folder / "home", ROOT / ".venv")
    store = ModelStore(home.folder / "models")
    for name, version in VERSIONS.items():
        export = folder / "exports" / name
        (export / "assets.extra" / "golden_requests.json").write_text(json.dumps({"instances": [ROW] * 3}))
        store.publish("taxi", export, ReleaseDraft(publication_key=str(version), task="binary"))
    store.promote("taxi", 1, reason="test", actor="test")
    workload = folder / "workloads" / "taxi" / "workload.yaml"
    workload.parent.mkdir(parents=True)
    workload.write_text(json.dumps(WORKLOAD))
    supervisor = home.start("up", TRAINYARD_WORKLOADS=str(folder / "workloads"))
    try:
        home.wait_until_up(supervisor)
        running = Running(home)
        wait_for(lambda: running.api.dag_is_loaded("deploy_taxi"), 120, "the DAGs are loaded")
        yield running
    finally:
        supervisor.terminate()
        supervisor.wait(timeout=60)


def states(platform: Running, run: DagRun) -> dict[str, str | None]:
    """The tasks' states; none while the API server is too busy to say."""
    try:
        return {task.task_id: task.state for task in platform.api.tasks(run)}
    except httpx.TransportError:
        return {}


def kill(platform: Running, component: str) -> None:
    """SIGKILL, and waits until the supervisor has started it again."""
    pid_file = platform.home.paths.pids / f"{component}.pid"
    pid = int(pid_file.read_text().split()[0])
    os.kill(pid, 9)
    wait_for(lambda: pid_file.read_text().split()[0] != str(pid), 60, f"{component} is started again")


@pytest.mark.parametrize("killed", ["triggerer", "scheduler", "model-server"])
def test_drifting_canary_is_taken_back_whatever_is_killed_meanwhile(platform: Running, killed: str) -> None:
    store = ModelStore(platform.home.folder / "models")
    run = platform.api.trigger("deploy_taxi", {"version": VERSIONS["moody"], "force": True})
    # No traffic yet: nothing to judge, so the canary is only watched.
    wait_for(lambda: states(platform, run).get("watch_1") == "deferred", 240, "the canary is watched")
    assert store.label_details("taxi")["canary"].share == 0.5
    kill(platform, killed)
    state_file = read_state(platform.home.paths)
    assert state_file is not None
    server = Ports(**state_file["ports"]).server_url
    wait_for(lambda: _answers(server), 120, "the model server answers")
    with Traffic(server) as clients:
        wait_for(lambda: states(platform, run).get("notify") in FINISHED, 300, "the deployment is taken back")
    state, tasks = platform.finished(run)
    assert (state, tasks["watch_1"], tasks["roll_back"], tasks["notify"]) == ("failed", "failed", "success", "success")
    assert any("have drifted from stable's" in line for line in platform.api.log_lines(run, "watch_1"))
    assert store.labels("taxi") == {"stable": 1}
    assert set(clients.statuses) == {200}, "0 failed requests"
    deployed = [entry for entry in store.history("taxi") if entry.action == "set canary" and entry.version == 3]
    withdrawn = [entry for entry in store.history("taxi") if entry.action == "withdraw canary"]
    assert len(deployed) == len(withdrawn), "each run deploys once and takes back once"


def _answers(server: str) -> bool:
    try:
        return httpx.post(f"{server}/v1/models/taxi:predict", json={"instances": [ROW]}, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
