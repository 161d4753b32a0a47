"""The Docker client and daemon that a build uses. For build_images.py."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
from typing import Iterator, Mapping  # noqa: UP035 Python 3.8

from source import BuildError


@dataclasses.dataclass(frozen=True)
class Builder:
    """A Docker client that can use BuildKit, which build secrets and cache mounts need.

    Attributes:
        docker: the client's path.
        command: the build command, without options.
        environment: variables for it.
    """

    docker: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


def find_builder() -> Builder:
    """The first client on PATH with buildx, else the first with built-in BuildKit (Docker 18.09 to 22).

    Raises:
        BuildError: there is none, or no daemon answers.
    """
    clients = list(_clients())
    if not clients:
        raise BuildError(
            "no docker on PATH. Install Docker (https://docs.docker.com/engine/install), or run docker/ensure-engine."
        )
    for client in clients:
        if _output([client, "buildx", "version"]):
            return _answering(Builder(client, (client, "buildx", "build", "--load"), {}))
    for client in clients:
        version = re.match(r"Docker version (\d+)\.", _output([client, "--version"]))
        if version and 18 < int(version[1]) < 23:
            return _answering(Builder(client, (client, "build"), {"DOCKER_BUILDKIT": "1"}))
    raise BuildError(
        f"{clients[0]} cannot use BuildKit: since Docker 23 that takes the buildx plugin."
        " Install it (docker-buildx-plugin, in Debian docker-buildx)."
    )


def _clients() -> Iterator[str]:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if folder and (found := shutil.which("docker", path=folder)):
            yield found


def _answering(builder: Builder) -> Builder:
    done = subprocess.run(
        [builder.docker, "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise BuildError(f"the Docker daemon does not answer: {said}")
    return builder


def default_network(builder: Builder) -> str:
    """`host` if the daemon has no bridge, since containers would then have no network; else empty, the daemon's default."""
    names = _output([builder.docker, "network", "ls", "--format", "{{.Name}}"]).split()
    return "" if "bridge" in names else "host"


def size(builder: Builder, tag: str) -> int:
    """An image's size on disk including its base, in bytes."""
    return int(_output([builder.docker, "image", "inspect", "--format", "{{.Size}}", tag]) or 0)


def copy_out(builder: Builder, tag: str, path: str, folder: pathlib.Path) -> pathlib.Path:
    """Copies a file out of an image, from a container that is never started."""
    folder.mkdir(parents=True, exist_ok=True)
    container = _output([builder.docker, "create", tag])
    try:
        subprocess.run(
            [builder.docker, "cp", f"{container}:{path}", str(folder)], check=True, stdout=subprocess.DEVNULL
        )
    finally:
        subprocess.run([builder.docker, "rm", container], stdout=subprocess.DEVNULL)
    return folder / pathlib.PurePosixPath(path).name


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
