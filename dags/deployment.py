"""The steps of a deployment, as plain functions over the model store and the model server's REST API.

The server follows the labels of the store: to deploy a release is to label it and to wait until it is served.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import home

if TYPE_CHECKING:
    from model_store import ModelStore

SERVER = "TRAINYARD_SERVER"
GOLDEN_REQUESTS = "assets.extra/golden_requests.json"
STABLE, CANARY = "stable", "canary"
ACTOR = "airflow"
REGRESSION_TOLERANCE = 0.1
"""A predicted number counts as a changed answer when it moves by more than this share of the old one."""


class DeploymentRefused(Exception):
    """The release must not be deployed; trying again cannot help."""


@dataclass(frozen=True)
class Comparison:
    """What the canary's answers were like, beside the stable release's."""

    requests: int
    canary_version: int
    stable_version: int | None
    changed_share: float | None
    """Share of requests whose answer differs from the stable release's; None without one."""
    canary_median_ms: float
    stable_median_ms: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def open_store() -> ModelStore:
    from model_store import ModelStore

    return ModelStore(home.store_uri())


def server_url() -> str:
    """The model server's REST address: TRAINYARD_SERVER, else the server's default port on this machine."""
    return os.environ.get(SERVER, "http://127.0.0.1:8501").rstrip("/")


def verify(model: str, version: int) -> str:
    """Checks every file of a release against its digests and returns the release's digest.

    Raises:
        DeploymentRefused: something is missing, changed or was added.
    """
    store = open_store()
    if problems := store.verify(model, version):
        raise DeploymentRefused(f"release {model}/{version} is not what was published: " + "; ".join(problems))
    return str(store.release(model, version).digest)


def wait_until_served(
    model: str, label: str, version: int, timeout_s: float, say: Callable[[str], None] = print
) -> None:
    """Waits until the model server answers for a label with this version.

    Raises:
        DeploymentRefused: the server tried to load the version and could not.
        TimeoutError: it did not come up in time, or there is no server; the message holds its last answer.
    """
    import httpx

    url = f"{server_url()}/v1/models/{model}/labels/{label}"
    deadline, last = time.monotonic() + timeout_s, ""
    while True:
        try:
            answer = httpx.get(url, timeout=5)
            state, said = _state_of(answer, version)
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


def _state_of(answer: Any, version: int) -> tuple[str | None, str]:
    try:
        body = answer.json()
    except ValueError:
        return None, f"HTTP {answer.status_code}: {answer.text[:200]}"
    statuses = body.get("model_version_status") if isinstance(body, dict) else None
    for one in statuses or []:
        state, message = one.get("state"), (one.get("status") or {}).get("error_message")
        if str(one.get("version")) == str(version):
            if message and state in ("END", "UNLOADING"):
                raise DeploymentRefused(f"the model server could not load version {version}: {message}")
            return state, f"version {version} is {state}" + (f": {message}" if message else "")
        return None, f"version {one.get('version')} is {state}"
    return None, f"HTTP {answer.status_code}: {json.dumps(body)[:200]}"


def sample_requests(model: str, version: int, limit: int = 64) -> list[Any]:
    """Rows to ask for: the golden requests that the Pusher put into the release.

    Raises:
        DeploymentRefused: the release brings none, so nobody could say whether it answers well.
    """
    store = open_store()
    release = store.release(model, version)
    if GOLDEN_REQUESTS not in release.files:
        raise DeploymentRefused(
            f"release {model}/{version} has no {GOLDEN_REQUESTS}: nothing to ask it. "
            "Publish it with the pipeline, or promote it by hand: trainyard release promote"
        )
    path = _local_path(store, model, version, release.uri) / GOLDEN_REQUESTS
    instances = json.loads(path.read_text(encoding="utf-8"))["instances"]
    if not instances:
        raise DeploymentRefused(f"release {model}/{version}: {GOLDEN_REQUESTS} holds no instances")
    return list(instances[:limit])


def _local_path(store: Any, model: str, version: int, uri: str) -> Path:
    if Path(uri).is_dir():
        return Path(uri)
    return Path(store.fetch(model, version, home.home() / "cache" / "releases"))


def compare_answers(
    model: str, canary_version: int, stable_version: int | None, instances: Sequence[Any]
) -> Comparison:
    """Asks canary and stable the same rows over HTTP, one request a row as a client would.

    Raises:
        DeploymentRefused: an answer of the canary is missing or is not a finite number.
    """
    canary, canary_ms = ask(model, CANARY, instances)
    if bad := [index for index, answer in enumerate(canary) if not is_finite(answer)]:
        raise DeploymentRefused(
            f"{model}/{canary_version} answered {len(bad)} of {len(canary)} requests with NaN or infinity, "
            f"first at row {bad[0]}: {canary[bad[0]]!r:.200}"
        )
    if stable_version is None:
        return Comparison(len(canary), canary_version, None, None, statistics.median(canary_ms), None)
    stable, stable_ms = ask(model, STABLE, instances)
    changed = sum(is_changed(old, new) for old, new in zip(stable, canary, strict=True))
    return Comparison(
        requests=len(canary),
        canary_version=canary_version,
        stable_version=stable_version,
        changed_share=changed / len(canary),
        canary_median_ms=statistics.median(canary_ms),
        stable_median_ms=statistics.median(stable_ms),
    )


def check_limits(comparison: Comparison, max_changed_answers: float, latency_budget_ms: float) -> None:
    """Holds a comparison against `serving.max_changed_answers` and `serving.latency_budget_ms` of workload.yaml.

    Raises:
        DeploymentRefused: a limit is passed.
    """
    if comparison.changed_share is not None and comparison.changed_share > max_changed_answers:
        raise DeploymentRefused(
            f"{comparison.changed_share:.1%} of the answers differ from version {comparison.stable_version}; "
            f"serving.max_changed_answers allows {max_changed_answers:.1%}"
        )
    if comparison.canary_median_ms > latency_budget_ms:
        raise DeploymentRefused(
            f"one prediction takes {comparison.canary_median_ms:.1f} ms at the median; "
            f"serving.latency_budget_ms allows {latency_budget_ms:g} ms"
        )


def ask(model: str, label: str, instances: Sequence[Any]) -> tuple[list[Any], list[float]]:
    """Predictions and latencies in milliseconds, one request a row, over one kept-alive connection."""
    import httpx

    answers, milliseconds = [], []
    with httpx.Client(base_url=server_url(), timeout=30) as client:
        # The first request opens the connection; its latency says nothing about the model.
        for instance in [instances[0], *instances]:
            started = time.perf_counter()
            reply = client.post(f"/v1/models/{model}/labels/{label}:predict", json={"instances": [instance]})
            milliseconds.append((time.perf_counter() - started) * 1000)
            if reply.status_code != 200:
                raise DeploymentRefused(
                    f"{model} ({label}) refused a golden request: {reply.status_code} {reply.text[:300]}"
                )
            answers.append(reply.json()["predictions"][0])
    return answers[1:], milliseconds[1:]


def is_finite(answer: Any) -> bool:
    """Whether an answer holds no NaN and no infinity, however deep it nests."""
    if isinstance(answer, dict):
        return bool(answer) and all(is_finite(value) for value in answer.values())
    if isinstance(answer, list):
        return all(is_finite(value) for value in answer)
    if isinstance(answer, float):
        return math.isfinite(answer)
    return answer not in (None, "NaN", "Infinity", "-Infinity")


def is_changed(old: Any, new: Any) -> bool:
    """Whether a client would see another answer: another label, or a number that moved by more than a tenth."""
    if isinstance(old, dict) and isinstance(new, dict):
        if "label" in old:
            return bool(old["label"] != new.get("label"))
        return old.keys() != new.keys() or any(is_changed(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) != len(new) or any(map(is_changed, old, new))
    if isinstance(old, int | float) and isinstance(new, int | float):
        return abs(new - old) > REGRESSION_TOLERANCE * max(abs(old), 1e-9)
    return bool(old != new)


def roll_back(model: str, version: int, previous: int | None, reason: str) -> list[str]:
    """Undoes what a failed deployment of `version` has changed; safe to call again.

    Returns:
        What was done, in words; empty when nothing had been changed.
    """
    store, done = open_store(), []
    labels = store.labels(model)
    if labels.get(CANARY) == version:
        store.remove_label(model, CANARY, reason=reason, actor=ACTOR)
        done.append(f"removed the canary label from version {version}")
    if labels.get(STABLE) == version and previous != version:
        if previous is None:
            store.remove_label(model, STABLE, reason=reason, actor=ACTOR)
            done.append(f"removed the stable label from version {version}; there was no stable release before it")
        else:
            store.rollback(model, to=previous, reason=reason, actor=ACTOR)
            done.append(f"stable is version {previous} again")
    return done
