"""Whether the platform's parts answer."""

from __future__ import annotations

import httpx

from embedded.settings import Ports

NOT_READY = "not ready"
"""The model server answers, and cannot serve a model that it should; its log says which."""
AIRFLOW_PARTS = {
    "metadatabase": "api-server",
    "scheduler": "scheduler",
    "dag_processor": "dag-processor",
    "triggerer": "triggerer",
}
"""Airflow's names in its health answer, and ours."""


def check(ports: Ports, timeout_s: float = 3.0) -> dict[str, str]:
    """The state of every component: "healthy", or in words what is wrong."""
    # trust_env: a proxy between two ends of one machine would only be in the way.
    with httpx.Client(timeout=timeout_s, trust_env=False) as client:
        servers = {"model-server": _model_server(client, ports), "report-server": _report_server(client, ports)}
        return _airflow(client, ports) | servers


def ui_answers(ports: Ports, timeout_s: float = 1.0) -> bool:
    """Whether Airflow's UI can be opened; its database and the other components may not be ready yet."""
    try:
        return httpx.get(ports.airflow_url, timeout=timeout_s, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False


def _airflow(client: httpx.Client, ports: Ports) -> dict[str, str]:
    try:
        answer = client.get(f"{ports.airflow_url}/api/v2/monitor/health")
        answer.raise_for_status()
        parts = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        why = "does not answer yet" if isinstance(error, httpx.ConnectError) else f"does not answer: {error}"
        return {"api-server": why} | {name: "unknown" for name in AIRFLOW_PARTS.values() if name != "api-server"}
    return {name: (parts.get(part) or {}).get("status") or "not started" for part, name in AIRFLOW_PARTS.items()}


def _model_server(client: httpx.Client, ports: Ports) -> str:
    try:
        answer = client.get(f"{ports.server_url}/healthz")
    except httpx.HTTPError as error:
        return "does not answer yet" if isinstance(error, httpx.ConnectError) else f"does not answer: {error}"
    return "healthy" if answer.status_code == 200 else NOT_READY


def _report_server(client: httpx.Client, ports: Ports) -> str:
    try:
        answer = client.get(ports.reports_url)
    except httpx.HTTPError as error:
        return "does not answer yet" if isinstance(error, httpx.ConnectError) else f"does not answer: {error}"
    return "healthy" if answer.status_code == 200 else f"answers {answer.status_code}"
