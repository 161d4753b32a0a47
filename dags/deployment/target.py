"""Where releases are deployed: the interface of such a place, and the model servers, which follow the store's labels."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import tracing
from dags.deployment.answers import Answers, ask
from dags.deployment.errors import DeploymentRefused
from dags.deployment.limits import Traffic
from dags.deployment.traffic import read_metrics, window
from spec import environment as env
from spec import home

if TYPE_CHECKING:
    from model_store import ModelStore

STABLE, CANARY = "stable", "canary"
LOAD_TIMEOUT_S = 120.0
SHARE_TIMEOUT_S = 30.0
Say = Callable[[str], None]


class Target(Protocol):
    """A place that serves a model's stable version and a canary. Every method may be repeated: it states the state to reach."""

    def address(self) -> str:
        """Where clients send requests."""

    def load(self, version: int, say: Say, wait_s: float) -> None:
        """Loads the version beside the stable one, without traffic, and waits until it answers.

        Raises:
            DeploymentRefused: it cannot be loaded.
            TimeoutError: it did not come up within `wait_s` seconds; call again.
        """

    def share(self, version: int, share: float, say: Say) -> None:
        """Gives the canary its share of the requests."""

    def begin(self, version: int, previous: int | None) -> dict[str, Any]:
        """What `traffic` needs to know about the start of a period, as JSON."""

    def traffic(self, version: int, previous: int | None, begun: dict[str, Any]) -> Traffic | None:
        """The traffic of canary and stable since `begun`; None if nothing here counts it."""

    def ask(self, which: str, instances: Sequence[Any]) -> Answers:
        """The answers of `stable` or `canary` to rows, one request per row."""

    def serve(self, version: int, say: Say) -> None:
        """Sends all traffic to this version and waits until it answers."""

    def withdraw(self, version: int, previous: int | None, say: Say) -> None:
        """Takes the canary's traffic away at once, then removes the canary."""


def open_store() -> ModelStore:
    from model_store import ModelStore

    return ModelStore(home.store_uri(), memory=home.home())


def public_keys() -> str:
    """The keys by one of which a release has to be signed, as PEM; empty where none are configured."""
    from model_store import Keys

    return Keys.from_environment().public_pem


def server_url() -> str:
    """The model server's REST address: TRAINYARD_SERVER, else the server's default port on this machine."""
    return os.environ.get(env.SERVER, "http://127.0.0.1:8501").rstrip("/")


def server_headers() -> dict[str, str]:
    """What a request to the model server says of us: our API key, and the trace that it belongs to."""
    key = os.environ.get(env.SERVER_KEY)
    return tracing.carried() | ({"X-API-Key": key} if key else {})


class ModelServer:
    """Trainyard's model servers. They follow the labels of the store, so there is nothing to do but wait."""

    def __init__(self, model: str) -> None:
        self._model = model

    def address(self) -> str:
        return f"{server_url()}/v1/models/{self._model}"

    def load(self, version: int, say: Say, wait_s: float) -> None:
        wait_until_served(self._model, CANARY, version, wait_s, say)

    def share(self, version: int, share: float, say: Say) -> None:
        """Waits until the server uses the share; a server that is slow to do so does not fail the deployment."""
        deadline = time.monotonic() + SHARE_TIMEOUT_S
        while (metrics := self._metrics()) is not None and metrics[1] != share:
            if time.monotonic() > deadline:
                say(f"{server_url()} has not taken up the share {share:g} within {SHARE_TIMEOUT_S:.0f} s; going on")
                return
            time.sleep(0.25)

    def begin(self, version: int, previous: int | None) -> dict[str, Any]:
        metrics = self._metrics()
        snapshot = metrics[0] if metrics else {}
        return {
            "at": time.time(),
            "counters": {v: s for v, s in snapshot.items() if v in (str(version), str(previous))},
        }

    def traffic(self, version: int, previous: int | None, begun: dict[str, Any]) -> Traffic | None:
        metrics = self._metrics()
        if metrics is None:
            return None
        canary, stable = (window(begun["counters"], metrics[0], one) for one in (version, previous))
        return Traffic(canary, stable)

    def ask(self, which: str, instances: Sequence[Any]) -> Answers:
        path = f"/v1/models/{self._model}/labels/{which}:predict"
        return ask(server_url(), path, f"{self._model} ({which})", instances, server_headers())

    def serve(self, version: int, say: Say) -> None:
        wait_until_served(self._model, STABLE, version, LOAD_TIMEOUT_S, say)

    def withdraw(self, version: int, previous: int | None, say: Say) -> None:
        """The labels are gone already: a server that is down comes back without the canary."""
        if previous is not None:
            wait_until_served(self._model, STABLE, previous, LOAD_TIMEOUT_S, say)

    def _metrics(self) -> tuple[dict[str, dict[str, Any]], float | None] | None:
        answer = _get("/metrics")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return read_metrics(answer.text, self._model)


def wait_until_served(model: str, label: str, version: int, timeout_s: float, say: Say = print) -> None:
    """Waits until the model server serves this version under a label.

    Raises:
        DeploymentRefused: the server tried to load the version and could not.
        TimeoutError: it was not served in time, or there is no server; the message has its last answer.
    """
    import httpx

    url = f"{server_url()}/v1/models/{model}/labels/{label}"
    deadline, last = time.monotonic() + timeout_s, ""
    while True:
        try:
            state, said = _state_of(_get(f"/v1/models/{model}/labels/{label}"), version)
            if state is None:  # the label is not served yet; the model's versions tell whether it will ever be
                _state_of(_get(f"/v1/models/{model}"), version)
        except httpx.HTTPError as error:
            state, said = None, f"no answer: {error}"
        if said != last:
            say(f"{url}: {said}")
            last = said
        if state == "AVAILABLE":
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} did not serve version {version} within {timeout_s:.0f} s. Last answer: {said}")
        time.sleep(0.25)


def _get(path: str) -> Any:
    import httpx

    return httpx.get(server_url() + path, timeout=5, headers=server_headers())


def _state_of(answer: Any, version: int) -> tuple[str | None, str]:
    try:
        body = answer.json()
    except ValueError:
        return None, f"HTTP {answer.status_code}: {answer.text[:200]}"
    statuses = body.get("model_version_status") if isinstance(body, dict) else None
    others = ""
    for one in statuses or []:
        state, message = one.get("state"), (one.get("status") or {}).get("error_message")
        if str(one.get("version")) == str(version):
            if message and state in ("END", "UNLOADING"):
                raise DeploymentRefused(f"the model server could not load version {version}: {message}")
            return state, f"version {version} is {state}" + (f": {message}" if message else "")
        others = others or f"version {one.get('version')} is {state}"
    return None, others or f"HTTP {answer.status_code}: {json.dumps(body)[:200]}"
