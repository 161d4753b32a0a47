"""KFP's API (v2beta1): requests and the meaning of answers, independent of how they are sent.

Each function is a generator that yields requests and is sent the answers, so the hook can use it with and without asyncio.
Names and shapes are those of KFP's OpenAPI description.
"""

from __future__ import annotations

import dataclasses
import json
import urllib.parse
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

from airflow_kubeflow.exceptions import KubeflowUserError

PREFIX = "/apis/v2beta1"
PAGE = 100
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
BAD_REQUEST, CONFLICT = 400, 409
Json = dict[str, Any]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        method: of HTTP.
        path: below `/apis/v2beta1`.
        query: the query parameters.
        body: JSON.
        repeatable: whether sending it twice is harmless; if not, it is sent again only if it certainly did not arrive.
    """

    method: str
    path: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: Any = None
    repeatable: bool = True


class Refused(KubeflowUserError):
    """KFP answered with 4xx.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


Asking = Generator[Request, Json, T]


def health() -> Asking[Json]:
    """KFP's health; `multi_user` says whether it has several users."""
    return (yield Request("GET", "/healthz"))


def namespace_to_use(namespace: str) -> Asking[str]:
    """The namespace for requests: empty if KFP has only one user, because it then refuses any namespace.

    Raises:
        KubeflowUserError: KFP has several users, and no namespace is given.
    """
    several = bool((yield from health()).get("multi_user"))
    if several and not namespace:
        raise KubeflowUserError("this Kubeflow has several users: which namespace is yours? Set the connection's.")
    return namespace if several else ""


def find_experiment(name: str, namespace: str) -> Asking[str]:
    """Id of the experiment of that name, empty if there is none."""
    query = {"filter": _filter("EQUALS", "display_name", name), "page_size": "2"}
    if namespace:
        query["namespace"] = namespace
    found = (yield Request("GET", "/experiments", query)).get("experiments") or []
    return str(found[0]["experiment_id"]) if found else ""


def get_or_create_experiment(name: str, namespace: str) -> Asking[str]:
    """Id of the experiment of that name, which is created if there is none."""
    if found := (yield from find_experiment(name, namespace)):
        return found
    body = {"display_name": name, **({"namespace": namespace} if namespace else {})}
    try:
        made = yield Request("POST", "/experiments", body=body)
    except Refused as error:
        if error.status != CONFLICT:
            raise
        return (yield from find_experiment(name, namespace))  # somebody else has just created it
    return str(made["experiment_id"])


def get_pipeline_version(pipeline_id: str, version_id: str) -> Asking[Json]:
    """A version of an uploaded pipeline; the newest if `version_id` is empty."""
    versions = f"/pipelines/{_quoted(pipeline_id)}/versions"
    if version_id:
        return (yield Request("GET", f"{versions}/{_quoted(version_id)}"))
    listed = yield Request("GET", versions, {"sort_by": "created_at desc", "page_size": "1"})
    if not (found := listed.get("pipeline_versions") or []):
        raise KubeflowUserError(f"pipeline {pipeline_id} has no versions. Upload one, or check the id.")
    return dict(found[0])


def create_run(body: Json) -> Asking[Json]:
    """Starts a run."""
    return (yield Request("POST", "/runs", body=body, repeatable=False))


def get_run(run_id: str) -> Asking[Json]:
    """A run, with its tasks."""
    return (yield Request("GET", f"/runs/{_quoted(run_id)}"))


def terminate_run(run_id: str) -> Asking[None]:
    """Ends a run; nothing happens if it has ended."""
    try:
        yield Request("POST", f"/runs/{_quoted(run_id)}:terminate")
    except Refused as error:
        if error.status != BAD_REQUEST or (yield from get_run(run_id)).get("state") not in (*ENDED, "CANCELING"):
            raise


def find_runs(experiment_id: str, part_of_name: str) -> Asking[list[Json]]:
    """Runs of an experiment with that text in their display name, the newest first."""
    query = {
        "experiment_id": experiment_id,
        "filter": _filter("IS_SUBSTRING", "display_name", part_of_name),
        "sort_by": "created_at desc",
        "page_size": str(PAGE),
    }
    found: list[Json] = []
    while True:
        page = yield Request("GET", "/runs", query)
        found += page.get("runs") or []
        if not (token := page.get("next_page_token")):
            return found
        query = {**query, "page_token": token}


def _filter(operation: str, key: str, value: str) -> str:
    return json.dumps({"predicates": [{"operation": operation, "key": key, "string_value": value}]})


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")
