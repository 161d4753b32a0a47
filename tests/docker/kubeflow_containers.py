"""A cluster of real containers: compiled files through kfp.local, single tasks through Docker, and what became of them.

Nothing is changed in a compiled file. What kfp.local leaves out and a cluster does comes here: the container's environment
from the file itself, the Secrets' values, and the pod's security as far as Docker can say it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import yaml

import docker
from tests.pipelines.kubeflow.cluster import Cluster
from tests.pipelines.kubeflow.kubeflow_double import ROOT, Attempt, KubeflowDouble

USER = 10001
_OUTCOME = re.compile(r"\] (\w+): (done|from the cache|skipped)")
_COLOUR = re.compile(r"\x1b\[\d+m")


def pod(environment: Mapping[str, str]) -> dict[str, Any]:
    """`docker run`'s arguments for a pod under Pod Security "restricted": the file's platform document, which kfp.local drops."""
    return {
        "environment": dict(environment),
        "entrypoint": [""],  # Kubernetes' `command` takes the place of an image's entrypoint; Docker's comes after it
        "network_mode": "host",
        "user": f"{USER}:{USER}",
        "read_only": True,
        "tmpfs": {"/tmp": "rw,exec,mode=1777,size=8g"},
        "shm_size": "1g",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
    }


class ContainerDouble(KubeflowDouble):
    """Runs single tasks of a compiled file, each in a container of the file's image."""

    def __init__(self, compiled: str, environment: Mapping[str, str], root: pathlib.Path) -> None:
        super().__init__(compiled, environment)
        self._root = root

    def folder(self, task: str, run_id: str) -> pathlib.Path:
        return self._root / run_id / task

    def run_task(self, task: str, run_id: str, more: Mapping[str, Any] | None = None, **given: Any) -> Attempt:
        """Runs a task's container; `more` are further arguments of `docker run`, `environment` goes over the file's."""
        changed = dict(more or {})
        environment = {**self.declared(task), **self.environment, **changed.pop("environment", {})}
        volumes = {str(self._root): {"bind": str(self._root), "mode": "rw"}, **changed.pop("volumes", {})}
        image = changed.pop("image", self.container(task)["image"])
        arguments = {**pod(environment), "volumes": volumes, **changed}
        container = client().containers.run(image, self.argv(task, run_id, **given), detach=True, **arguments)
        try:
            code = container.wait(timeout=600)["StatusCode"]
            return Attempt(task, code, container.logs().decode())
        finally:
            container.remove(force=True)


class KfpRun:
    """A whole compiled file under kfp.local.

    Args:
        file: the compiled file.
        root: an empty folder; kfp.local's pipeline root.
        environment: of the containers.
        arguments: the run's parameters.

    Attributes:
        lines: what kfp.local and the containers printed so far.
        exit_codes: of the containers that ended so far, in order.
        code: kfp.local's end; None before `finish`.
    """

    def __init__(
        self, file: pathlib.Path, root: pathlib.Path, environment: Mapping[str, str], arguments: Mapping[str, Any]
    ) -> None:
        self._label, self.root = f"trainyard.test={uuid.uuid4().hex}", root
        self.lines: list[str] = []
        self.exit_codes: list[int] = []
        self.code: int | None = None
        self._created = 0
        container = {**pod(environment), "labels": dict([self._label.split("=")])}
        filters = {"type": "container", "event": ["create", "die"], "label": self._label}
        self._events = client().events(decode=True, filters=filters)
        threading.Thread(target=self._count, daemon=True).start()
        self._process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name("run_with_kfp.py"))],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdin
        request = {"file": str(file), "root": str(root), "arguments": dict(arguments), "container": container}
        self._process.stdin.write(json.dumps(request))
        self._process.stdin.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _count(self) -> None:
        with contextlib.suppress(Exception):  # the stream is closed from another thread
            for event in self._events:
                if event["Action"] == "create":
                    self._created += 1
                else:
                    self.exit_codes.append(int(event["Actor"]["Attributes"]["exitCode"]))

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(_COLOUR.sub("", line.rstrip()))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def name(self) -> str:
        """The folder that kfp.local made for this run."""
        (folder,) = self.root.iterdir()
        return folder.name

    @property
    def outcomes(self) -> dict[str, str]:
        """Node -> done, or from the cache."""
        return {found[1]: found[2] for found in _OUTCOME.finditer(self.text)}

    @property
    def refusals(self) -> list[str]:
        """The lines for a person."""
        return [line.strip() for line in self.lines if line.strip().startswith("trainyard:")]

    def wait_until(self, holds: Callable[[], object], seconds: float = 400) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert self._process.poll() is None or holds(), self.text[-4000:]
            assert time.monotonic() < deadline, self.text[-4000:]
            time.sleep(0.05)

    def wait_for(self, *texts: str) -> None:
        """Waits until the log has these texts, in order."""

        def all_there() -> bool:
            at = 0
            return all((at := self.text.find(text, at)) >= 0 for text in texts)

        self.wait_until(all_there)

    def kill_container(self) -> None:
        """As the kernel's out-of-memory killer or a lost node would: SIGKILL, no goodbye."""
        (container,) = client().containers.list(filters={"label": self._label})
        container.kill("SIGKILL")

    def __enter__(self) -> KfpRun:
        return self

    def __exit__(self, *raised: object) -> None:
        """Ends what a failed test left running."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            for container in client().containers.list(filters={"label": self._label}):
                container.kill("SIGKILL")

    def finish(self, seconds: float = 900) -> KfpRun:
        self.code = self._process.wait(seconds)
        self._reader.join(30)
        deadline = time.monotonic() + 10
        while len(self.exit_codes) < self._created and time.monotonic() < deadline:
            time.sleep(0.05)
        self._events.close()
        return self


@dataclasses.dataclass
class ContainerCluster(Cluster):
    """A cluster whose pods are containers.

    Attributes:
        file: the compiled file.
        folder: kfp.local's pipeline roots go below it; the containers' user may write there.
    """

    double: ContainerDouble
    file: pathlib.Path
    folder: pathlib.Path

    def start(self, environment: Mapping[str, str] | None = None, **arguments: Any) -> KfpRun:
        """Starts a run; `environment` goes over the file's and the Secrets'."""
        root = self.folder / uuid.uuid4().hex[:8]
        make_writable(root)
        declared = self.double.declared(self.double.order()[0])
        return KfpRun(self.file, root, {**declared, **self.environment, **(environment or {})}, arguments)

    def run(self, **arguments: Any) -> KfpRun:
        with self.start(**arguments) as run:
            return run.finish()

    def run_ids(self) -> list[str]:
        """All runs that the metadata store knows, the oldest first."""
        contexts = self.metadata.get_contexts_by_type("pipeline_run")
        return [context.name for context in sorted(contexts, key=lambda one: one.id)]

    def shown(self, run: KfpRun) -> dict[str, Any]:
        """What the run's tasks left for KFP's UI."""
        double = ContainerDouble(self.file.read_text(), self.environment, run.root)
        return double.all_shown(run.name)


def compile_file(
    workload: str, image: str, revision: str, site: Mapping[str, Any], folder: pathlib.Path, *more: str
) -> pathlib.Path:
    """`trainyard compile`, with the image written down: kfp.local cannot fill in a parameter there."""
    (folder / "kubeflow.yaml").write_text(yaml.safe_dump(dict(site)))
    file = folder / f"{workload}.yaml"
    arguments = ["--site", str(folder / "kubeflow.yaml"), "--image", image, "--fixed-image", "--check", *more]
    trainyard("compile", workload, "-o", str(file), *arguments, revision=revision)
    return file


def trainyard(*arguments: str, revision: str, **environment: str) -> str:
    """The command line in a process of its own; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TRAINYARD_CODE_REVISION": revision, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def make_writable(folder: pathlib.Path) -> None:
    """A folder that the containers' user may write to, whoever runs the tests."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)


def client() -> Any:
    return docker.from_env(timeout=600)
