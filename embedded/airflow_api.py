"""What the demo reads from Airflow: runs, tasks and results from the REST API, task logs from the log folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from embedded.settings import USER, Paths, Ports

FINISHED = frozenset({"success", "failed"})


@dataclass(frozen=True)
class DagRun:
    dag_id: str
    run_id: str
    state: str


@dataclass(frozen=True)
class TaskState:
    task_id: str
    state: str | None
    seconds: float | None
    try_number: int


class AirflowApi:
    """A logged-in client of the platform's Airflow."""

    def __init__(self, ports: Ports, paths: Paths, password: str) -> None:
        self._paths = paths
        self.url = ports.airflow_url
        self._client = httpx.Client(base_url=ports.airflow_url, timeout=30, trust_env=False)
        token = self._client.post("/auth/token", json={"username": USER, "password": password})
        token.raise_for_status()
        self.token = str(token.json()["access_token"])
        self._client.headers["Authorization"] = f"Bearer {self.token}"

    def close(self) -> None:
        self._client.close()

    def dag_is_loaded(self, dag_id: str) -> bool:
        return self._client.get(f"/api/v2/dags/{dag_id}").status_code == 200

    def import_errors(self) -> list[str]:
        errors = self._get("/api/v2/importErrors")["import_errors"]
        return [f"{one['filename']}: {one['stack_trace'].strip().splitlines()[-1]}" for one in errors]

    def runs(self, dag_id: str) -> list[DagRun]:
        """The runs of a DAG, oldest first."""
        found = self._get(f"/api/v2/dags/{dag_id}/dagRuns", order_by="run_after")["dag_runs"]
        return [DagRun(dag_id, one["dag_run_id"], one["state"]) for one in found]

    def tasks(self, run: DagRun) -> list[TaskState]:
        found = self._get(f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances")["task_instances"]
        return [TaskState(one["task_id"], one["state"], one["duration"], one["try_number"]) for one in found]

    def result(self, run: DagRun, task_id: str) -> Any:
        """What a task returned; None if it returned nothing."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        answer = self._client.get(path)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        value = answer.json()["value"]
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value

    def log_lines(self, run: DagRun, task_id: str) -> list[str]:
        """What a task has logged so far in all its tries, without the lines that Airflow adds."""
        folder = self._paths.task_logs / f"dag_id={run.dag_id}" / f"run_id={run.run_id}" / f"task_id={task_id}"
        return [line for file in sorted(folder.glob("attempt=*.log")) for line in _events(file)]

    def _get(self, path: str, **parameters: Any) -> Any:
        answer = self._client.get(path, params=parameters)
        answer.raise_for_status()
        return answer.json()


def _events(file: Path) -> Iterator[str]:
    for raw in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(raw)
        except ValueError:
            continue
        event = str(entry.get("event", ""))
        if not event.startswith("::"):
            yield event
        for error in entry.get("error_detail") or []:
            yield f"{error.get('exc_type')}: {error.get('exc_value')}"
