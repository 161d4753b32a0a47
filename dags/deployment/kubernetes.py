"""The part of Kubernetes' API that a deployment needs: reading, creating and patching one custom object."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

from dags.deployment.errors import DeploymentRefused

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MERGE = "application/merge-patch+json"


class Kubernetes:
    """Kubernetes' API, with the service account of this pod or an Airflow connection.

    Args:
        connection: an Airflow connection's id: `host` is the API server's URL, `password` a bearer token, `extra` may name
            `ca_file`. None: the pod's service account. Tokens expire, so they are read again for every request.

    Raises:
        DeploymentRefused: there is neither; a retry would not help.
    """

    def __init__(self, connection: str | None = None) -> None:
        self._connection = connection
        if connection is None and not (_ACCOUNT / "token").is_file():
            raise DeploymentRefused(
                "serving.kserve: no service account here (not in a pod). Name an Airflow connection: serving.kserve.connection"
            )

    def get(self, path: str) -> dict[str, Any] | None:
        """An object; None if there is none of that name."""
        return self._send("GET", path, missing_is_none=True)

    def create(self, path: str, document: dict[str, Any]) -> None:
        """Creates an object; it is fine if somebody else has just created it."""
        self._send("POST", path, document, exists_is_fine=True)

    def patch(self, path: str, document: dict[str, Any]) -> None:
        """Merges a document into an object (RFC 7386: null removes a field)."""
        self._send("PATCH", path, document)

    def _send(
        self,
        method: str,
        path: str,
        document: dict[str, Any] | None = None,
        missing_is_none: bool = False,
        exists_is_fine: bool = False,
    ) -> dict[str, Any] | None:
        import httpx

        server, token, ca_file = self._access()
        headers = {"Authorization": f"Bearer {token}"}
        if method == "PATCH":
            headers["Content-Type"] = _MERGE
        trust = ssl.create_default_context(cafile=ca_file) if ca_file else True
        reply = httpx.request(method, server + path, json=document, headers=headers, verify=trust, timeout=30)
        if reply.status_code == 404 and missing_is_none:
            return None
        if reply.status_code == 409 and exists_is_fine:
            return None
        if reply.status_code >= 500 or reply.status_code in (408, 429):
            reply.raise_for_status()  # the server's fault and perhaps temporary: Airflow retries
        if reply.status_code >= 400:
            raise DeploymentRefused(f"Kubernetes refused {method} {path}: {reply.status_code} {_message(reply)}")
        found: dict[str, Any] = reply.json()
        return found

    def _access(self) -> tuple[str, str, str | None]:
        """URL, token and the file of the certificate authority."""
        if self._connection is None:
            host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
            port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
            host = f"[{host}]" if ":" in host else host
            return f"https://{host}:{port}", (_ACCOUNT / "token").read_text().strip(), str(_ACCOUNT / "ca.crt")
        from airflow.sdk import Connection
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            found = Connection.get(self._connection)
        except AirflowNotFoundException:
            raise DeploymentRefused(
                f"serving.kserve.connection: Airflow has no connection {self._connection!r}. "
                "Add it: host is the URL of Kubernetes' API, password a bearer token."
            ) from None
        if not found.host or "://" not in found.host or not found.password:
            raise DeploymentRefused(
                f"Airflow connection {self._connection!r}: needs host (https://...) and a bearer token as password."
            )
        return found.host.rstrip("/"), found.password, found.extra_dejson.get("ca_file")


def _message(reply: Any) -> str:
    try:
        return str(reply.json()["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return str(reply.text)[:500]
