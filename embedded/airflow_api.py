"""What the demo reads from Airflow: runs, tasks, results over its REST API; task logs from its log folder."""

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
    """A logged-in client of the platform's own Airflow."""

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
        """What a task returned; None when it returned nothing."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        answer = self._client.get(path)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        value = answer.json()["value"]
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value

    def asset_id(self, name: str) -> int:
        """The number under which the UI and the API know an asset."""
        found = self._get("/api/v2/assets", name_pattern=name)["assets"]
        return int(next(one["id"] for one in found if one["name"] == name))

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> DagRun:
        """Starts a run by hand."""
        answer = self._client.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
        answer.raise_for_status()
        return DagRun(dag_id, answer.json()["dag_run_id"], answer.json()["state"])

    def post_event(self, asset: str, extra: dict[str, Any]) -> None:
        """Says that an asset has changed, as a system outside would."""
        found = self._get("/api/v2/assets", name_pattern=asset)["assets"]
        asset_id = next(one["id"] for one in found if one["name"] == asset)
        self._client.post("/api/v2/assets/events", json={"asset_id": asset_id, "extra": extra}).raise_for_status()

    def events(self, asset: str) -> list[dict[str, Any]]:
        """What an asset's events said, oldest first."""
        found = self._get("/api/v2/assets/events", asset_id=self.asset_id(asset), order_by="timestamp")["asset_events"]
        return [one["extra"] for one in found]

    def add_connection(self, name: str, **settings: Any) -> None:
        """Saves a connection, as a person would in the UI."""
        self._client.post("/api/v2/connections", json={"connection_id": name, **settings}).raise_for_status()

    def links(self, run: DagRun, task_id: str) -> dict[str, str]:
        """The buttons of a task: name -> address."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/links"
        return {name: url for name, url in self._get(path)["extra_links"].items() if url}

    def clear(self, run: DagRun, *task_ids: str) -> None:
        """Has tasks, and what comes after them, run again."""
        body = {"dag_run_id": run.run_id, "task_ids": task_ids, "include_downstream": True, "dry_run": False}
        body["only_failed"] = False
        self._client.post(f"/api/v2/dags/{run.dag_id}/clearTaskInstances", json=body).raise_for_status()

    def set_state(self, run: DagRun, task_id: str, state: str) -> None:
        """Marks a task, as the buttons of the UI do."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}"
        self._client.patch(path, json={"new_state": state}).raise_for_status()

    def log_lines(self, run: DagRun, task_id: str) -> list[str]:
        """What a task has logged so far, over all its tries, without Airflow's own frame."""
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
