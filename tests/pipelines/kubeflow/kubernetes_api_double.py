"""A double of the Kubernetes API, for what `trainyard doctor --cluster` asks: reads of single objects and access reviews.

Its objects are held to the `kubernetes` package's models of Kubernetes' API, and so is what it is asked to review. Refusals are
`Status` objects, as an API server writes them. Not doubled: watches, writes, admission, aggregated discovery.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import threading
from typing import Any

import yaml

from tests.kubernetes_fields import unknown_fields

TOKEN = "a-token-that-nobody-may-print"
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class KubernetesApiDouble:
    """The server; `with` starts and stops it.

    Attributes:
        objects: path -> what lies there.
        forbidden: paths that this user may not read.
        allowed: `verb resource` that this user may do.
        asked: `METHOD path` of each request.
        violations: what is against Kubernetes' API.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {"/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.1"}}
        self.forbidden: set[str] = set()
        self.allowed: set[str] = set()
        self.asked: list[str] = []
        self.violations: list[str] = []

    def __enter__(self) -> KubernetesApiDouble:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, path: str, model: str, document: dict[str, Any]) -> None:
        """Puts an object there, if Kubernetes' API knows all of its fields."""
        assert list(unknown_fields(document, model, path)) == []
        self.objects[path] = document

    def kubeconfig(self, file: pathlib.Path, namespace: str) -> pathlib.Path:
        """A kubeconfig whose current context is this cluster."""
        named = {
            "clusters": {"cluster": {"server": f"http://127.0.0.1:{self._server.server_address[1]}"}},
            "users": {"user": {"token": TOKEN}},
            "contexts": {"context": {"cluster": "it", "user": "it", "namespace": namespace}},
        }
        lists = {key: [{"name": "it", **one}] for key, one in named.items()}
        file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "it", **lists}))
        return file

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, dict[str, Any]]:
        self.asked.append(f"{method} {path}")
        if token != f"Bearer {TOKEN}":
            return 401, _status(401, "Unauthorized")
        if (method, path) == ("POST", _REVIEWS):
            self.violations += unknown_fields(body, "V1SelfSubjectAccessReview", "review")
            asked = body["spec"]["resourceAttributes"]
            return 201, {**body, "status": {"allowed": f"{asked['verb']} {asked['resource']}" in self.allowed}}
        if path in self.forbidden:
            return 403, _status(403, "Forbidden")
        if method != "GET":
            self.violations.append(f"{method} {path}: the doctor only reads")
        return (200, self.objects[path]) if path in self.objects else (404, _status(404, "NotFound"))


def _status(code: int, reason: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code}


def _handler(double: KubernetesApiDouble) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._do("GET")

        def do_POST(self) -> None:
            self._do("POST")

        def _do(self, method: str) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = double.answer(method, self.path, self.headers.get("Authorization", ""), body)
            written = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: the test's output is the command's."""

    return Handler
