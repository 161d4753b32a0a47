"""The Kubernetes API, read only, by the official client with the current context of kubeconfig."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from pipelines.runners.kubeflow.watching import Unavailable
from spec.errors import InputError

_TIMEOUT = (10, 30)


class NotAllowed(Exception):
    """This user may not read that."""


class Kubernetes:
    """One cluster, accessed as one user.

    Args:
        context: of kubeconfig; empty: the current one, or in a pod its service account.

    Raises:
        InputError: there is no such context, or no kubeconfig.
    """

    def __init__(self, context: str = "") -> None:
        import kubernetes
        import urllib3

        self._kubernetes, self._broken = kubernetes, urllib3.exceptions.HTTPError
        configuration = kubernetes.client.Configuration()
        file = os.environ.get("KUBECONFIG") or None
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ and not (context or file):
                kubernetes.config.load_incluster_config(client_configuration=configuration)
                current: dict[str, Any] = {}
            else:
                known, current = kubernetes.config.list_kube_config_contexts(config_file=file)
                current = next((one for one in known if one["name"] == context), current)
                kubernetes.config.load_kube_config(file, context or None, client_configuration=configuration)
        except (kubernetes.config.ConfigException, OSError) as error:
            raise InputError(
                f"no cluster to look at: {error}. Set KUBECONFIG, or name a context with --context."
            ) from None
        configuration.retries = urllib3.Retry(1, backoff_factor=0.5)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # what matters comes back as an error
        self.host = configuration.host
        self.namespace = str(current.get("context", {}).get("namespace") or "")
        self._client = kubernetes.client.ApiClient(configuration)

    def get(self, path: str) -> dict[str, Any] | None:
        """An object or a list; None if there is none.

        Raises:
            NotAllowed: 401 or 403.
            Unavailable: nobody answers, or not now.
        """
        return self._ask("GET", path)

    def may_i(self, namespace: str, verb: str, group: str, resource: str) -> bool:
        """Whether this user may do something (by a SelfSubjectAccessReview, which everybody may request)."""
        attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool((answer or {}).get("status", {}).get("allowed"))

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        try:
            answer = self._client.call_api(
                path,
                method,
                body=body,
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT,
            )
        except self._kubernetes.client.ApiException as error:
            if error.status == 404:
                return None
            if error.status in (401, 403):
                raise NotAllowed(f"{method} {path}: {error.status} {error.reason}") from None
            raise Unavailable(f"{self.host} says {error.status} {error.reason}.") from None
        except (self._broken, OSError) as error:
            raise Unavailable(f"{self.host} does not answer: {type(error).__name__}.") from None
        read: dict[str, Any] = json.loads(answer.data)
        return read
