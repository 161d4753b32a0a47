"""The double of KFP's API, run as a process of its own in the pipelines environment: Airflow's has no kfp."""

from __future__ import annotations

import json
import pathlib
import subprocess
import time
from typing import Any

import httpx

from spec import home

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "a-token-that-nobody-may-print"
EXAMPLE = pathlib.Path(__file__).parent / "pipelines" / "example.yaml"
CREATE = "POST /apis/v2beta1/runs"
RUNNING: dict[str, str] = {"": "RUNNING", "prepare": "RUNNING"}
DONE: dict[str, str] = {"": "SUCCEEDED", "prepare": "SUCCEEDED", "train": "SUCCEEDED"}


class KubeflowServer:
    """The double's process. Its state is in a file: a killed one goes on where it was, at the same address.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._ready = folder / "ready.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.url = ""

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ready.unlink(missing_ok=True)
        command = [str(home.environment_python("pipelines")), "-m", "tests.pipelines.kubeflow.kubeflow_api_server"]
        command += ["--port", str(self._port), "--state", str(self.folder / "state.json"), "--ready", str(self._ready)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 120
        while not self._ready.is_file():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the double does not start"
            time.sleep(0.1)
        self.url = json.loads(self._ready.read_text())["url"]
        self._port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def steer(self, **orders: Any) -> dict[str, Any]:
        """See tests/pipelines/kubeflow/kubeflow_api_server.py."""
        answer = httpx.post(f"{self.url}/double", json=orders, trust_env=False)
        answer.raise_for_status()
        return dict(answer.json())

    def end(self, run: str = "all", **step: str) -> None:
        """Lets runs show a step from now on; the run's own state is `state`."""
        self.steer(end={"run": run, "step": {"": step.pop("state", "SUCCEEDED"), **step}})

    def told(self) -> dict[str, Any]:
        """Its requests, violations and runs."""
        return dict(httpx.get(f"{self.url}/double", trust_env=False).json())

    @property
    def runs(self) -> list[dict[str, Any]]:
        return list(self.told()["runs"])

    def runs_of(self, dag_run_id: str) -> list[dict[str, Any]]:
        """The runs that a DAG run's tasks have started, the oldest first."""
        return [run for run in self.runs if f"run {dag_run_id}," in run["description"]]

    def count(self, request: str) -> int:
        """How often it was asked that."""
        return int(self.told()["requests"].count(request))

    def connection(self, **more: Any) -> str:
        """An Airflow connection to it, as JSON."""
        extra = {"backoff": 0.05, "ui": "https://kubeflow.example.com/_/pipeline", **more.pop("extra", {})}
        return json.dumps({"conn_type": "kubeflow", "host": self.url, "password": TOKEN, "extra": extra, **more})
