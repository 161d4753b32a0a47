"""docker/compose.yaml as a test runs it: a copy with passwords of its own, free ports, and stand-ins where no registry answers."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping

import httpx
import yaml

from embedded.airflow_api import AirflowApi
from embedded.settings import Paths, Ports

DOCKER = pathlib.Path(__file__).resolve().parents[2] / "docker"
STAND_INS = pathlib.Path(__file__).with_name("stand_ins")
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
HEALTHY_WITHIN_S = 600.0


def find_compose() -> list[str] | None:
    """The command of Compose 2: Docker's plugin, else a program docker-compose; None where there is neither."""
    for command in (["docker", "compose"], ["docker-compose"]):
        with contextlib.suppress(FileNotFoundError):
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
            if done.returncode == 0 and not done.stdout.startswith("1."):
                return command
    return None


class ComposePlatform:
    """The platform in a folder of its own.

    Args:
        folder: for the copy of the compose file, its .env, and the landing folder.
        command: Compose.
        images: what the compose file calls them, e.g. TRAINYARD_AIRFLOW_IMAGE.
    """

    def __init__(self, folder: pathlib.Path, command: list[str], images: Mapping[str, str]) -> None:
        self.data = folder / "data"
        self.data.mkdir(mode=0o755)
        shutil.copy(DOCKER / "compose.yaml", folder)
        shutil.copytree(DOCKER / "compose", folder / "compose")
        subprocess.run([folder / "compose" / "make-env"], check=True, capture_output=True)
        self.ports = Ports(*(free_port() for _ in range(3)))
        settings = {
            **images,
            "AIRFLOW_PORT": str(self.ports.airflow),
            "REST_PORT": str(self.ports.rest),
            "GRPC_PORT": str(self.ports.grpc),
            "TRAINYARD_DATA_FOLDER": str(self.data),
            "TRAINYARD_DAG_WORKLOADS": "taxi",
        }
        with (folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())
        self.settings = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())
        self._folder = folder
        self._command = [*command, "-f", str(folder / "compose.yaml"), "-p", f"trainyard-test-{os.getpid()}"]

    def __call__(self, *arguments: str, timeout: float = 900) -> str:
        """Runs Compose; what it printed."""
        done = subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            # What this process has set for tests of its own is no setting of the platform.
            env={k: v for k, v in os.environ.items() if not k.startswith(("TRAINYARD_", "AWS_", "AIRFLOW_"))},
        )
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr[-3000:]}\n{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        done = subprocess.run([*self._command, "logs", "--no-color", "--tail", "40"], capture_output=True, text=True)
        return done.stdout[-20000:]

    def start(self) -> None:
        """Starts everything and waits until every service that stays is healthy."""
        services = yaml.safe_load((self._folder / "compose.yaml").read_text())["services"]
        staying = {name for name, service in services.items() if "healthcheck" in service}
        self("up", "--detach")
        self.wait(lambda: self._healthy() == staying, HEALTHY_WITHIN_S, f"healthy: {sorted(staying)}")

    def _healthy(self) -> set[str]:
        listed = [json.loads(line) for line in self("ps", "--format", "json").splitlines()]
        return {one["Service"] for one in listed if one["Health"] == "healthy"}

    def land(self, span: pathlib.Path) -> None:
        """Puts a span of taxi's into the landing folder, whole at once."""
        aside = self.data / "taxi" / f".{span.name}"
        shutil.copytree(span, aside)
        aside.rename(aside.with_name(span.name))

    def airflow(self) -> AirflowApi:
        return AirflowApi(self.ports, Paths(self._folder), self.settings["AIRFLOW_ADMIN_PASSWORD"])

    def ask(self, row: Mapping[str, object]) -> object:
        """The model server's prediction."""
        url = f"{self.ports.server_url}/v1/models/taxi:predict"
        answer = httpx.post(url, json={"instances": [row]}, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]

    def wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self('ps', '-a')}\n{self.logs()}"
            time.sleep(1)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def service_images(folder: pathlib.Path) -> dict[str, str]:
    """PostgreSQL's and the S3 store's images: those that POSTGRES_IMAGE and S3_IMAGE name, else the official ones where they are or
    can be pulled, else stand-ins for them."""
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    chosen = {}
    for service, variable in (("postgres", "POSTGRES_IMAGE"), ("s3", "S3_IMAGE")):
        official = services[service]["image"].split(":-")[1].rstrip("}")
        chosen[variable] = os.environ.get(variable) or (
            official if _is_had(official) else _stand_in(service, folder / service)
        )
    return chosen


def scheduler_image(pipeline: str, airflow: str) -> str:
    """The scheduler's image: TRAINYARD_SCHEDULER_IMAGE, else docker/scheduler.Dockerfile of two images."""
    return os.environ.get("TRAINYARD_SCHEDULER_IMAGE") or _build(
        "trainyard-scheduler:test",
        DOCKER / "scheduler.Dockerfile",
        DOCKER,
        "--build-arg",
        f"PIPELINE_IMAGE={pipeline}",
        "--build-arg",
        f"AIRFLOW_IMAGE={airflow}",
    )


def _is_had(image: str) -> bool:
    for command in (["image", "inspect"], ["pull", "--quiet"]):
        with contextlib.suppress(subprocess.TimeoutExpired):
            if subprocess.run(["docker", *command, image], capture_output=True, timeout=120).returncode == 0:
                return True
    return False


def _stand_in(service: str, context: pathlib.Path) -> str:
    shutil.copytree(STAND_INS, context)
    if service == "s3":
        environment = {**os.environ, "GOBIN": str(context), "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", VERSITYGW], env=environment, check=True, timeout=900)
    return _build(f"trainyard-stand-in-{service}:test", context / f"{service}.Dockerfile", context)


def _build(tag: str, dockerfile: pathlib.Path, context: pathlib.Path, *more: str) -> str:
    command = ["docker", "build", "--quiet", "--network", "host", "--tag", tag, "--file", str(dockerfile), *more]
    # The classic builder: a client of 23 or later has BuildKit in a plugin, which need not be installed.
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run([*command, str(context)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return tag
