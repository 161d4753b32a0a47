"""The platform's client of Airflow, with what only tests ask for: the buttons of the UI, and events."""

from __future__ import annotations

from typing import Any

from embedded.airflow_api import AirflowApi, DagRun


class AirflowClient(AirflowApi):
    """`AirflowApi`, and what a person or another system would do."""

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
        event = {"asset_id": self.asset_id(asset), "extra": extra}
        self._client.post("/api/v2/assets/events", json=event).raise_for_status()

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
