"""Deploying to KServe: an InferenceService (serving.kserve.io/v1beta1) replaces the model servers.

KServe makes a revision for every change of the predictor and remembers the last one that had all traffic.
`canaryTrafficPercent` splits the traffic between that one and the newest; without it the newest gets everything
(https://kserve.github.io/website/docs/model-serving/predictive-inference/rollout-strategies/canary).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import tracing
from dags.deployment.answers import Answers, ask
from dags.deployment.errors import DeploymentRefused
from dags.deployment.kubernetes import Kubernetes
from dags.deployment.limits import Traffic
from dags.deployment.target import CANARY, Say, open_store, public_keys
from dags.deployment.traffic import Window
from spec import environment as env
from spec.workload import KServe

LOAD_TIMEOUT_S = 280.0
"""Shorter than the task's timeout. The task's next try waits for a pod that takes longer."""
_POLL_S = 2.0
_GO_BACK_S = 50.0
_VERSION = "trainyard.dev/version"
_TAGS = "serving.kserve.io/enable-tag-routing"
_FAILED = ("InvalidSpec", "BlockedByFailedLoad")
_REQUESTS = "sum by (response_code_class) (increase(revision_app_request_count{%s}[%ds]))"
_P99 = "histogram_quantile(0.99, sum by (le) (increase(revision_app_request_latencies_bucket{%s}[%ds])))"


class InferenceService:
    """One model's InferenceService."""

    def __init__(self, model: str, settings: KServe) -> None:
        self._model, self._settings = model, settings
        self._name = settings.service or model.replace("_", "-")
        self._all = f"/apis/serving.kserve.io/v1beta1/namespaces/{settings.namespace}/inferenceservices"
        self._one = f"{self._all}/{self._name}"
        self._api = Kubernetes(settings.connection)

    def address(self) -> str:
        return f"InferenceService {self._settings.namespace}/{self._name}"

    def load(self, version: int, say: Say, wait_s: float) -> None:
        """Creates a new revision without traffic. The first one creates the service, and gets all traffic."""
        if self._api.get(self._one) is None:
            metadata = {"name": self._name, "namespace": self._settings.namespace, "annotations": _annotations(version)}
            document = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata}
            self._api.create(self._all, {**document, "spec": {"predictor": {"model": self._predictor(version)}}})
        elif self._served(self._object()) != version:
            self._change(version, 0)
        self._wait(version, wait_s, say)

    def share(self, version: int, share: float, say: Say) -> None:
        """The canary's percentage: a whole number, at least 1 unless the share is 0."""
        percent = max(1, round(share * 100)) if share else 0
        if self._served(self._object()) == version:
            self._api.patch(self._one, {"spec": {"predictor": {"canaryTrafficPercent": percent}}})
            say(f"{self.address()}: canaryTrafficPercent {percent}")

    def begin(self, version: int, previous: int | None) -> dict[str, Any]:
        predictor = _predictor_status(self._object())
        return {
            "at": time.time(),
            "canary": predictor.get("latestReadyRevision"),
            "stable": predictor.get("latestRolledoutRevision"),
        }

    def traffic(self, version: int, previous: int | None, begun: dict[str, Any]) -> Traffic | None:
        """Errors and latency from Knative's own figures; it knows nothing about predictions."""
        if self._settings.prometheus is None:
            return None
        seconds = max(1, round(time.time() - begun["at"]))
        canary = self._window(begun["canary"], seconds)
        stable = self._window(begun["stable"], seconds) if begun["stable"] != begun["canary"] else Window()
        return Traffic(canary, stable)

    def ask(self, which: str, instances: Sequence[Any]) -> Answers:
        url = self._url(which)
        path, headers = f"/v1/models/{self._name}:predict", tracing.carried()
        if self._settings.ingress:
            url, headers = self._settings.ingress.rstrip("/"), {**headers, "Host": urlsplit(url).netloc}
        return ask(url, path, f"{self.address()} ({which})", instances, headers)

    def serve(self, version: int, say: Say) -> None:
        """Sends all traffic to the newest revision, which is made from this version if necessary."""
        self._change(version, None)
        self._wait(version, LOAD_TIMEOUT_S, say)

    def withdraw(self, version: int, previous: int | None, say: Say) -> None:
        """Takes the traffic away, then puts the previous release into the spec, so that nobody rolls out the bad one by accident.

        Raises:
            TimeoutError: KServe has not gone back; the spec is left alone, since a change would roll out the wrong revision.
        """
        found = self._api.get(self._one)
        if found is None or self._served(found) != version or previous is None:
            return
        self._api.patch(self._one, {"spec": {"predictor": {"canaryTrafficPercent": 0}}})
        say(f"{self.address()}: canaryTrafficPercent 0")
        self._wait_until_not_rolled_out(_predictor_status(found).get("latestCreatedRevision"))
        self._change(previous, 0)

    def _wait_until_not_rolled_out(self, revision: str | None) -> None:
        deadline = time.monotonic() + _GO_BACK_S
        while revision and _predictor_status(self._object()).get("latestRolledoutRevision") == revision:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{self.address()}: revision {revision} still counts as rolled out after {_GO_BACK_S:.0f} s"
                )
            time.sleep(0.5)

    def _change(self, version: int, percent: int | None) -> None:
        """One patch, so that KServe never sees a new model with an old percentage."""
        predictor = {"canaryTrafficPercent": percent, "model": self._predictor(version)}
        self._api.patch(
            self._one, {"metadata": {"annotations": _annotations(version)}, "spec": {"predictor": predictor}}
        )

    def _predictor(self, version: int) -> dict[str, Any]:
        model: dict[str, Any] = {"modelFormat": {"name": "tensorflow"}, "storageUri": self._storage_uri(version)}
        if self._settings.runtime:
            model["runtime"] = self._settings.runtime
        if keys := public_keys():
            model["env"] = [{"name": env.PUBLIC_KEYS, "value": keys}]
        return model

    def _storage_uri(self, version: int) -> str:
        root = (self._settings.storage or open_store().uri).rstrip("/")
        if "://" not in root:
            raise DeploymentRefused(
                f"KServe cannot read the model store at {root}. Use an object store (TRAINYARD_STORE), or say how KServe "
                "reads it: serving.kserve.storage, e.g. pvc://models"
            )
        return f"{root}/{self._model}/{version}"

    def _object(self) -> dict[str, Any]:
        found = self._api.get(self._one)
        if found is None:
            raise DeploymentRefused(f"{self.address()} is gone")
        return found

    @staticmethod
    def _served(found: dict[str, Any]) -> int:
        return int((found["metadata"].get("annotations") or {}).get(_VERSION, 0))

    def _wait(self, version: int, timeout_s: float, say: Say) -> None:
        """Waits until the newest revision is ready and serves this version."""
        deadline, last = time.monotonic() + timeout_s, ""
        while True:
            ready, said = _readiness(self._object(), version)
            if said != last:
                say(f"{self.address()}: {said}")
                last = said
            if ready:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.address()} did not serve version {version} in {timeout_s:.0f} s: {said}")
            time.sleep(_POLL_S)

    def _url(self, which: str) -> str:
        """The URL of a revision, which KServe provides with tag routing; that of the service while it has only one."""
        found = self._object()
        tag = "latest" if which == CANARY else "prev"
        for one in _predictor_status(found).get("traffic") or ():
            if one.get("tag") == tag and one.get("url"):
                return str(one["url"])
        url = (found.get("status") or {}).get("url")
        if not url:
            raise TimeoutError(f"{self.address()} has no URL yet")
        return str(url)

    def _window(self, revision: str | None, seconds: int) -> Window:
        series = f'namespace_name="{self._settings.namespace}",revision_name="{revision}"'
        by_class = {
            one["metric"].get("response_code_class"): _value(one) for one in self._query(_REQUESTS % (series, seconds))
        }
        p99 = [_value(one) for one in self._query(_P99 % (series, seconds))]
        return Window(
            requests=round(sum(by_class.values())),
            errors=round(by_class.get("5xx", 0.0)),
            p99_ms=p99[0] if p99 and p99[0] == p99[0] else None,
        )

    def _query(self, text: str) -> list[dict[str, Any]]:
        import httpx

        reply = httpx.get(
            f"{str(self._settings.prometheus).rstrip('/')}/api/v1/query", params={"query": text}, timeout=10
        )
        reply.raise_for_status()
        found: list[dict[str, Any]] = reply.json()["data"]["result"]
        return found


def _annotations(version: int) -> dict[str, str]:
    return {_VERSION: str(version), _TAGS: "true"}


def _predictor_status(found: dict[str, Any]) -> dict[str, Any]:
    predictor: dict[str, Any] = ((found.get("status") or {}).get("components") or {}).get("predictor") or {}
    return predictor


def _readiness(found: dict[str, Any], version: int) -> tuple[bool, str]:
    """Whether the newest revision is ready, and its state in words.

    Raises:
        DeploymentRefused: KServe tried to load the model and could not.
    """
    status = found.get("status") or {}
    if status.get("observedGeneration") != found["metadata"].get("generation"):
        return False, "KServe has not seen the change yet"
    model = status.get("modelStatus") or {}
    if model.get("transitionStatus") in _FAILED:
        why = (model.get("lastFailureInfo") or {}).get("message") or model["transitionStatus"]
        raise DeploymentRefused(f"KServe could not load version {version}: {why}")
    predictor = _predictor_status(found)
    newest, ready = predictor.get("latestCreatedRevision"), predictor.get("latestReadyRevision")
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    is_ready = conditions.get("Ready", {}).get("status") == "True"
    if newest and newest == ready and is_ready:
        return True, f"revision {ready} serves version {version}"
    message = conditions.get("Ready", {}).get("message") or "starting"
    return False, f"revision {newest or 'none'} is not ready: {message}"


def _value(one: dict[str, Any]) -> float:
    return float(one["value"][1])
