"""A double of a cluster with Kubeflow Trainer: its API for TrainJobs over HTTP, and local processes for pods.

Doubled is what Trainyard sees of it: requests are held to the CRD's schema, a job's processes start with the environment that
the pods would have, one failed pod ends the job (backoffLimit 0) or starts again (backoffLimitPerIndex), conditions are JobSet's. Not
doubled: scheduling, images, networks, Pod Security, admission webhooks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from tests.pipelines.kubeflow.multi_node.train_job_schema import pod_template, problems

ROOT = pathlib.Path(__file__).resolve().parents[4]
MANIFESTS = ROOT / "deploy" / "kubeflow" / "components" / "multi-node"
RUNTIME, SEARCH_RUNTIME = MANIFESTS / "training-runtime.yaml", MANIFESTS / "search-runtime.yaml"
NAMESPACE = "trainyard"
_COLLECTION = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{NAMESPACE}/trainjobs"


@dataclasses.dataclass
class Pod:
    process: subprocess.Popen[bytes]
    log: pathlib.Path
    environment: Mapping[str, str]

    def text(self) -> str:
        return self.log.read_text(errors="replace")


class ClusterDouble:
    """Attributes:
    jobs: the TrainJobs that there are, as the API shows them.
    made: every TrainJob that was ever created.
    pods: of every TrainJob ever created, in the same order.
    asked: `METHOD name` of every request.
    away: how many requests more get 503.
    restarted: the index of each pod that was started again.
    """

    def __init__(self, folder: pathlib.Path, image: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        self._folder, self._image, self._secrets = folder, dict(image), dict(secrets)
        self._lock = threading.RLock()
        runtimes = [yaml.safe_load(path.read_text()) for path in (RUNTIME, SEARCH_RUNTIME)]
        self.runtimes = {(one["kind"], one["metadata"]["name"]): one for one in runtimes}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.made: list[dict[str, Any]] = []
        self.pods: list[list[Pod]] = []
        self.asked: list[str] = []
        self.away = 0
        self.restarted: list[int] = []
        self.worker_environment: dict[int, dict[str, str]] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for pods in self.pods:
            _kill(pods)

    def environment(self, pod: str = "trainer-pod", uid: str = "uid-1") -> dict[str, str]:
        """Of the Trainer's pod: where the API is, and who the pod is."""
        path = self._folder / "kubeconfig"
        server = f"http://127.0.0.1:{self._server.server_address[1]}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "clusters": [{"name": "double", "cluster": {"server": server}}],
            "users": [{"name": "double", "user": {}}],
            "contexts": [{"name": "double", "context": {"cluster": "double", "user": "double"}}],
        }
        path.write_text(yaml.safe_dump(config))
        names = {"TRAINYARD_POD_NAME": pod, "TRAINYARD_POD_UID": uid, "TRAINYARD_POD_NAMESPACE": NAMESPACE}
        # Of this process alone: searches answer on a port that is always the same.
        names["TRAINYARD_POD_IP"] = f"127.{os.getpid() % 250 + 1}.1.1"
        return {"KUBECONFIG": str(path), **names}

    def answer(self, method: str, name: str, body: Any) -> tuple[int, Any]:
        with self._lock:
            self.asked.append(f"{method} {name}")
            if self.away:
                self.away -= 1
                return 503, _status(503, "the server is currently unable to handle the request")
            if method == "POST":
                return self._create(body)
            if name not in self.jobs:
                return 404, _status(404, f'trainjobs.trainer.kubeflow.org "{name}" not found')
            if method == "PATCH":
                assert body.keys() == {"metadata"} and body["metadata"].keys() == {"ownerReferences"}
                self.jobs[name]["metadata"]["ownerReferences"] = body["metadata"]["ownerReferences"]
            if method == "DELETE":
                self.jobs[name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
                _kill(self._pods_of(name))
                return 200, self.jobs.pop(name)
            return 200, self.jobs[name]

    def _create(self, job: dict[str, Any]) -> tuple[int, Any]:
        if found := problems(job):
            return 422, _status(422, "; ".join(found))
        name, reference = job["metadata"]["name"], job["spec"]["runtimeRef"]
        if (reference["kind"], reference["name"]) not in self.runtimes:
            return 403, _status(
                403, f"admission webhook denied the request: no {reference['kind']} {reference['name']}"
            )
        if name in self.jobs:
            return 409, _status(409, f'trainjobs.trainer.kubeflow.org "{name}" already exists')
        self.jobs[name] = job
        job["status"] = {}
        self.made.append(job)
        self.pods.append([])
        threading.Thread(target=self._watch, args=(job, self.pods[-1], self._start(job)), daemon=True).start()
        return 201, job

    def _start(self, job: dict[str, Any]) -> Callable[[int], None]:
        """Starts the pods of a job that was just made; returns what starts one of them again."""
        name, trainer, pods = job["metadata"]["name"], job["spec"]["trainer"], self.pods[-1]
        count, folder = trainer["numNodes"], self._folder / f"job-{len(self.made)}"
        (replicated,) = self._runtime_of(job)["spec"]["template"]["spec"]["replicatedJobs"]
        (container,) = replicated["template"]["spec"]["template"]["spec"]["containers"]
        (patched,) = pod_template(job)["spec"]["containers"]
        assert patched["name"] == container["name"] == "node", "the runtime must have the patched container"
        names = {f"{name}-{replicated['name']}-0-{index}.{name}": "127.0.0.1" for index in range(count)}
        hosts = dict(zip((f"{host}:2222" for host in names), _free_addresses(count), strict=True))
        pods += [self._start_pod(trainer, hosts, index, folder / f"pod-{index}") for index in range(count)]

        def again(index: int) -> None:
            self.restarted.append(index)
            pods[index] = self._start_pod(trainer, hosts, index, folder / f"pod-{index}-{len(self.restarted)}")

        return again

    def _runtime_of(self, job: dict[str, Any]) -> dict[str, Any]:
        reference = job["spec"]["runtimeRef"]
        return self.runtimes[reference["kind"], reference["name"]]

    def _start_pod(self, trainer: dict[str, Any], hosts: Mapping[str, str], index: int, scratch: pathlib.Path) -> Pod:
        scratch.mkdir(parents=True)
        given = {}
        for one in trainer["env"]:
            reference = one.get("valueFrom", {}).get("secretKeyRef", {})
            if value := one.get("value", self._secrets.get(f"{reference.get('name')}/{reference.get('key')}")):
                given[one["name"]] = re.sub("|".join(map(re.escape, hosts)), lambda found: hosts[found[0]], value)
        environment = {
            "PATH": os.environ["PATH"],
            **self._image,
            **given,
            # A process shares what a pod has to itself.
            **{"HOME": str(scratch), "TRAINYARD_SCRATCH": str(scratch), "TRAINYARD_HOME": str(scratch / "home")},
            "JOB_COMPLETION_INDEX": str(index),
            **(self.worker_environment.get(index, {})),
        }
        assert trainer["command"][0] == "python"
        log = scratch / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *trainer["command"][1:], *trainer["args"]],
                env=environment,
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        return Pod(process, log, environment)

    def _watch(self, job: dict[str, Any], pods: list[Pod], again: Callable[[int], None]) -> None:
        (replicated,) = self._runtime_of(job)["spec"]["template"]["spec"]["replicatedJobs"]
        patience = dict.fromkeys(range(100), replicated["template"]["spec"].get("backoffLimitPerIndex", 0))
        name = job["metadata"]["name"]
        while True:
            with self._lock:
                if self.jobs.get(name) is not job:
                    return
                for index, pod in enumerate(pods):
                    if pod.process.poll() not in (None, 0, 2) and patience[index]:
                        patience[index] -= 1
                        again(index)
            codes = [pod.process.poll() for pod in pods]
            active = sum(code is None for code in codes)
            with self._lock:
                job["status"]["jobsStatus"] = [
                    {"name": "node", "ready": active, "succeeded": 0, "failed": 0, "active": active, "suspended": 0}
                ]
                if any(codes):
                    _kill(pods)
                    job["status"]["conditions"] = [
                        _condition("Failed", "FailedJobs", "jobset failed due to one or more job failures")
                    ]
                    return
                if not active:
                    job["status"]["conditions"] = [
                        _condition("Complete", "AllJobsCompleted", "jobset completed successfully")
                    ]
                    return
            time.sleep(0.2)

    def _pods_of(self, name: str) -> list[Pod]:
        return next(
            pods
            for job, pods in zip(reversed(self.made), reversed(self.pods), strict=True)
            if job["metadata"]["name"] == name
        )


@contextlib.contextmanager
def cluster_double(
    folder: pathlib.Path, image: Mapping[str, str], secrets: Mapping[str, str]
) -> Iterator[ClusterDouble]:
    """Args:
    folder: for logs and scratch.
    image: the environment that the image and its machine have.
    secrets: `<Secret>/<key>` -> value.
    """
    double = ClusterDouble(folder, image, secrets)
    try:
        yield double
    finally:
        double.close()


def _handler(double: ClusterDouble) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None: ...

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            path = self.path.partition("?")[0]
            assert path.startswith(_COLLECTION), path
            if self.command == "PATCH":
                assert self.headers["Content-Type"] == "application/merge-patch+json"
            code, answer = double.answer(self.command, path.removeprefix(_COLLECTION).strip("/"), body)
            content = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

    return Handler


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


def _condition(kind: str, reason: str, message: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def _kill(pods: list[Pod]) -> None:
    for pod in pods:
        if pod.process.poll() is None:
            pod.process.send_signal(signal.SIGKILL)
            pod.process.wait()


def _free_addresses(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
