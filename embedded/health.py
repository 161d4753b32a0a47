"""Whether the platform's parts answer."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import httpx

from embedded.settings import Ports

NOT_READY = "not ready"
"""The model server answers but cannot serve one of its models; its log says which."""
AIRFLOW_PARTS = {
    "metadatabase": "api-server",
    "scheduler": "scheduler",
    "dag_processor": "dag-processor",
    "triggerer": "triggerer",
}
"""Airflow's names in its health answer, and ours."""


def check(ports: Ports, timeout_s: float = 3.0) -> dict[str, str]:
    """The state of every component: "healthy", or what is wrong, in words."""
    # trust_env: within one machine a proxy would only be in the way.
    with httpx.Client(timeout=timeout_s, trust_env=False) as client:
        servers = {
            "model-server": _server(client, f"{ports.server_url}/healthz", lambda status: NOT_READY),
            "report-server": _server(client, ports.reports_url, lambda status: f"answers {status}"),
        }
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
        return {"api-server": _no_answer(error)} | {
            name: "unknown" for name in AIRFLOW_PARTS.values() if name != "api-server"
        }
    return {name: (parts.get(part) or {}).get("status") or "not started" for part, name in AIRFLOW_PARTS.items()}


def _server(client: httpx.Client, url: str, unhealthy: Callable[[int], str]) -> str:
    try:
        status = client.get(url).status_code
    except httpx.HTTPError as error:
        return _no_answer(error)
    return "healthy" if status == HTTPStatus.OK else unhealthy(status)


def _no_answer(error: Exception) -> str:
    return "does not answer yet" if isinstance(error, httpx.ConnectError) else f"does not answer: {error}"
