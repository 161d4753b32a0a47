"""TrainJobs in the Kubernetes API, by its official client: created, looked at, adopted and deleted in the pod's own namespace."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import storage
from pipelines.runners.kubeflow.multi_node.manifest import API_GROUP, API_VERSION, Owner
from spec.errors import InputError
from spec.words import one_line

_PLURAL = "trainjobs"
_VERSION = API_VERSION.partition("/")[2]
_REQUEST_S = 30
PATIENCE_S = 300.0
Result = TypeVar("Result")


class JobsAway(RuntimeError):
    """The Kubernetes API does not answer, or not yet as it should."""


class TrainJobs:
    """The TrainJobs of a namespace.

    Raises:
        InputError: there is no Kubernetes here.
    """

    def __init__(self, namespace: str) -> None:
        # Half a second of imports, which no other node needs.
        from kubernetes import client, config

        try:
            # In a pod: by the service account's token, which the client reads again as it is renewed.
            kubeconfig = os.environ.get("KUBECONFIG")
            config.load_kube_config(kubeconfig) if kubeconfig else config.load_incluster_config()
        except config.ConfigException as error:
            raise InputError(
                f"several nodes need a Kubernetes cluster with Kubeflow Trainer ({error}). Elsewhere choose a pool with one node."
            ) from error
        self._api = client.CustomObjectsApi()
        self._place: dict[str, Any] = {
            "group": API_GROUP,
            "version": _VERSION,
            "namespace": namespace,
            "plural": _PLURAL,
            "_request_timeout": _REQUEST_S,
        }

    def find(self, name: str, patience_s: float = PATIENCE_S) -> dict[str, Any] | None:
        """The job of that name.

        Args:
            patience_s: seconds that the API may be away.
        """

        def get() -> dict[str, Any] | None:
            try:
                return self._api.get_namespaced_custom_object(name=name, **self._place)  # type: ignore[no-any-return]
            except Exception as error:
                if getattr(error, "status", None) == 404:
                    return None
                raise

        return _patiently(get, patience_s)

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Starts a job. One that is there already, from a request whose answer was lost, is left as it is."""

        def post() -> None:
            try:
                self._api.create_namespaced_custom_object(body=manifest, **self._place)
            except Exception as error:
                if getattr(error, "status", None) != 409:
                    raise

        _patiently(post, PATIENCE_S)

    def adopt(self, job: Mapping[str, Any], owner: Owner) -> None:
        """Makes a job go with this pod, not only with the one that started it."""
        owners = list(job["metadata"].get("ownerReferences", ()))
        if any(one["uid"] == owner.uid for one in owners):
            return
        # A merge patch, which is what the client sends for custom objects; it puts the list in the place of the old one.
        patch = {"metadata": {"ownerReferences": [*owners, owner.reference()]}}
        name = job["metadata"]["name"]
        _patiently(lambda: self._api.patch_namespaced_custom_object(name=name, body=patch, **self._place), PATIENCE_S)

    def delete(self, name: str, wait: bool = True) -> None:
        """Ends a job and its pods.

        Args:
            wait: until it is gone, and another may have its name.
        """

        def remove() -> None:
            try:
                self._api.delete_namespaced_custom_object(
                    name=name, body={"propagationPolicy": "Foreground"}, **self._place
                )
            except Exception as error:
                if getattr(error, "status", None) != 404:
                    raise

        _patiently(remove, PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while wait and self.find(name) is not None:
            if time.monotonic() > deadline:
                raise JobsAway(f"TrainJob {name} was deleted {PATIENCE_S:.0f} s ago and is still there")
            time.sleep(1)


def _patiently(work: Callable[[], Result], patience_s: float) -> Result:
    """Does `work` again while the API is away.

    Raises:
        InputError: the API refuses it, with what it says and what to do.
        JobsAway: it was away for longer.
    """
    try:
        return storage.patiently(work, _is_away, patience_s, "the Kubernetes API")
    except Exception as error:
        if refused := _refusal(error):
            raise refused from error
        if _is_away(error):
            raise JobsAway(f"the Kubernetes API is away: {one_line(error, 160)}") from error
        raise


def _is_away(error: BaseException) -> bool:
    from urllib3.exceptions import HTTPError

    status = getattr(error, "status", None)
    return isinstance(error, HTTPError | ConnectionError) or status == 429 or (status is not None and status >= 500)


def _refusal(error: Exception) -> InputError | None:
    status = getattr(error, "status", None)
    said = _message(error)
    if status == 404:
        return InputError(
            "the cluster has no TrainJobs: install Kubeflow Trainer 2.2 or later, or choose a pool with one node."
        )
    if status in (401, 403):
        return InputError(
            f"TrainJob: the Kubernetes API refuses it ({said}). The pod's service account needs the rights of "
            "deploy/kubeflow/components/multi-node, and the cluster its TrainingRuntime."
        )
    if status in (400, 422):
        return InputError(f"TrainJob: the cluster does not take it ({said}). Mend the pool, or kubeflow.yaml.")
    return None


def _message(error: Exception) -> str:
    try:
        said = str(json.loads(getattr(error, "body", None) or "{}").get("message", ""))
    except (ValueError, AttributeError):
        said = ""
    return one_line(said or getattr(error, "reason", error), 400)
