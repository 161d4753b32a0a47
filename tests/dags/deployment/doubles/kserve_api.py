"""A stand-in for Kubernetes' API with KServe behind it: as much of InferenceService v1beta1 as a deployment meets.

It keeps the contract that matters: bearer tokens, merge patches (RFC 7386) by their content type, what the schema of v1beta1
allows in a predictor, `generation` and `observedGeneration`, a revision for every change of the model, and the traffic by
`canaryTrafficPercent` between the newest revision and the last one that had everything. The revisions answer predictions,
and Prometheus' query API counts them.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-bearer-token"
COLLECTION = "/apis/serving.kserve.io/v1beta1/namespaces/models/inferenceservices"
_STORAGE = re.compile(r"(s3|gs|hdfs|webhdfs|pvc|hf|oci|https?)://.+")
_PREDICTOR_FIELDS = {"model", "canaryTrafficPercent", "minReplicas", "maxReplicas", "serviceAccountName"}
_MODEL_FIELDS = {"env", "modelFormat", "storageUri", "runtime", "resources", "protocolVersion"}
GETS_UNTIL_READY = 2


class Cluster:
    """The state behind the API: one InferenceService and its revisions."""

    def __init__(self) -> None:
        self.service: dict[str, Any] | None = None
        self.models: dict[str, str] = {}  # revision -> storageUri
        self.patches: list[dict[str, Any]] = []
        self.requests: Counter[tuple[str, str]] = Counter()  # (revision, class) -> requests
        self.p99_ms = 12.0
        self.bad_models: set[str] = set()  # URIs that cannot be loaded
        self._until_ready = 0
        self.lock = threading.RLock()

    def apply(self, document: dict[str, Any]) -> str:
        """Takes a whole object; returns why it is not valid, or nothing."""
        predictor = document["spec"]["predictor"]
        model = predictor.get("model", {})
        percent = predictor.get("canaryTrafficPercent")
        if unknown := (predictor.keys() - _PREDICTOR_FIELDS) | (model.keys() - _MODEL_FIELDS):
            return f"unknown field {sorted(unknown)[0]}"
        if document.get("apiVersion") != "serving.kserve.io/v1beta1" or document.get("kind") != "InferenceService":
            return "apiVersion or kind does not fit"
        if percent is not None and (type(percent) is not int or not 0 <= percent <= 100):
            return f"spec.predictor.canaryTrafficPercent: Invalid value: {percent!r}"
        if not _STORAGE.fullmatch(model.get("storageUri", "")) or "name" not in model.get("modelFormat", {}):
            return f"storageUri or modelFormat is not supported: {model}"
        self._reconcile(document)
        return ""

    def _reconcile(self, document: dict[str, Any]) -> None:
        before = self.service or {"metadata": {"generation": 0}, "spec": {}, "status": {}}
        metadata = {**document["metadata"], "generation": before["metadata"]["generation"]}
        status = before.get("status", {})
        if document["spec"] != before["spec"]:
            metadata["generation"] += 1
            self._until_ready = GETS_UNTIL_READY
        if document["spec"]["predictor"]["model"] != before["spec"].get("predictor", {}).get("model"):
            created = f"taxi-predictor-{len(self.models) + 1:05d}"
            self.models[created] = document["spec"]["predictor"]["model"]["storageUri"]
            status = {**status, "newest": created}
        self.service = {**document, "metadata": metadata, "status": status}

    def get(self, base: str) -> dict[str, Any] | None:
        """The object as it is now; a change takes a few looks until it is done."""
        if self.service is None:
            return None
        status = self.service["status"]
        if self._until_ready:
            self._until_ready -= 1
        else:
            self._settle(status)
        percent = self.service["spec"]["predictor"].get("canaryTrafficPercent")
        done = status.get("ready") == status["newest"]
        predictor = {
            "latestCreatedRevision": status["newest"],
            "latestReadyRevision": status.get("ready"),
            "latestRolledoutRevision": status.get("rolled_out"),
            "previousRolledoutRevision": status.get("previous"),
            "traffic": self._traffic(status, percent, base),
        }
        shown: dict[str, Any] = {
            "observedGeneration": self.service["metadata"]["generation"] - (0 if not self._until_ready else 1),
            "url": f"{base}/{status.get('ready', 'none')}",
            "conditions": [{"type": "Ready", "status": "True" if done else "False", "message": "revision is starting"}],
            "components": {"predictor": predictor},
        }
        if self.models[status["newest"]] in self.bad_models:
            shown["modelStatus"] = {
                "transitionStatus": "BlockedByFailedLoad",
                "lastFailureInfo": {"message": "cannot read saved_model.pb"},
            }
        return {**{k: v for k, v in self.service.items() if k != "status"}, "status": shown}

    def _settle(self, status: dict[str, Any]) -> None:
        if self.models[status["newest"]] in self.bad_models:
            return
        percent = self.service["spec"]["predictor"].get("canaryTrafficPercent") if self.service else None
        status["ready"] = status["newest"]
        if percent in (None, 100) and status.get("rolled_out") != status["ready"]:
            status["previous"], status["rolled_out"] = status.get("rolled_out"), status["ready"]
        elif percent not in (None, 100) and status.get("rolled_out") == status["ready"] and status.get("previous"):
            status["rolled_out"] = status["previous"]

    @staticmethod
    def _traffic(status: dict[str, Any], percent: int | None, base: str) -> list[dict[str, Any]]:
        newest, old = status.get("ready"), status.get("rolled_out")
        share = 100 if percent is None or old in (None, newest) else percent
        found = [{"revisionName": newest, "latestRevision": True, "percent": share, "tag": "latest"}]
        if share < 100:
            found.append({"revisionName": old, "latestRevision": False, "percent": 100 - share, "tag": "prev"})
        return [{**one, "url": f"{base}/{one['revisionName']}"} for one in found]


class Handler(BaseHTTPRequestHandler):
    cluster: Cluster

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/api/v1/query":
            return self._prometheus(parse_qs(path.query)["query"][0])
        if not self._allowed():
            return None
        with self.cluster.lock:
            found = self.cluster.get(f"http://{self.headers['Host']}") if path.path == f"{COLLECTION}/taxi" else None
        self._reply(200 if found else 404, found or {"kind": "Status", "message": "not found"})

    def do_POST(self) -> None:
        document = self._body()
        if self.path.endswith("/v1/models/taxi:predict"):
            return self._predict(self.path.split("/")[1], document)
        if not self._allowed():
            return None
        with self.cluster.lock:
            if self.cluster.service is not None:
                return self._reply(409, {"message": "inferenceservices taxi already exists"})
            problem = self.cluster.apply(document)
        self._reply(422 if problem else 201, {"message": problem} if problem else document)

    def do_PATCH(self) -> None:
        patch = self._body()
        if not self._allowed():
            return None
        if self.headers["Content-Type"] != "application/merge-patch+json":
            return self._reply(415, {"message": "the body of the request was in an unknown format"})
        with self.cluster.lock:
            service = {k: v for k, v in (self.cluster.service or {}).items() if k != "status"}
            self.cluster.patches.append(patch)
            problem = self.cluster.apply(_merged(service, patch))
        self._reply(422 if problem else 200, {"message": problem} if problem else {})

    def _predict(self, revision: str, document: dict[str, Any]) -> None:
        version = self.cluster.models[revision].rsplit("/", 1)[-1]
        self._reply(
            200, {"predictions": [{"label": "1", "probability": 0.5 + int(version) / 100}] * len(document["instances"])}
        )

    def _prometheus(self, query: str) -> None:
        match = re.search(r'namespace_name="models",revision_name="([^"]*)"\}\[\d+s\]', query)
        assert match, query
        result = []
        if query.startswith("sum by (response_code_class) (increase(revision_app_request_count{"):
            counts = {c: n for (revision, c), n in self.cluster.requests.items() if revision == match[1]}
            result = [{"metric": {"response_code_class": c}, "value": [0, str(n)]} for c, n in counts.items()]
        elif query.startswith("histogram_quantile(0.99, sum by (le) (increase(revision_app_request_latencies_bucket{"):
            result = [{"metric": {}, "value": [0, str(self.cluster.p99_ms)]}]
        self._reply(200, {"status": "success", "data": {"resultType": "vector", "result": result}})

    def _allowed(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {TOKEN}":
            return True
        self._reply(401, {"kind": "Status", "message": "Unauthorized"})
        return False

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def _reply(self, code: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def serve(cluster: Cluster) -> ThreadingHTTPServer:
    """Serves a cluster on a free port; the caller shuts it down."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"cluster": cluster}))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
