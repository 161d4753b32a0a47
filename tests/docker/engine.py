"""What the tests of the images need of Docker: whether it answers, its client, and an image that is built once a session."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESTRICTED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
"""Pod Security "restricted", in Docker's words."""


def why_no_engine() -> str:
    """One line that says why no container can run here; empty where one can."""
    if not shutil.which("docker"):
        return "docker is not installed (docker/ensure-engine installs it on Debian, as root)"
    done = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True)
    if done.returncode != 0:
        return f"the Docker daemon does not answer: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    return ""


def docker(*arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs the client. With `check` a failure is the test's, with what Docker said."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, f"docker {arguments[0]}: {done.stderr}\n{done.stdout}"
    return done


def built(image: str, name: str) -> str:
    """The image that TRAINYARD_<IMAGE>_IMAGE names, else one that docker/build makes from this checkout, as NAME:test."""
    variable = f"TRAINYARD_{image.upper()}_IMAGE"
    if named := os.environ.get(variable):
        return named
    tag = f"{name}:test"
    base = os.environ.get("TRAINYARD_BASE_IMAGE", "debian:trixie-slim")
    done = subprocess.run(
        [str(ROOT / "docker" / "build"), image, "--tag", tag, "--base", base], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.fail(f"docker/build {image} failed ({variable} may name a built one):\n{done.stderr[-4000:]}")
    return tag
