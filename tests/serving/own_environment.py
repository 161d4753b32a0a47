"""Clients of others, unmodified, each in an environment of its own: their packages are not the server's."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest
from conftest import Server

_CLIENTS = pathlib.Path(__file__).with_name("clients")


def by_client(script: str, server: Server, *packages: str) -> Any:
    """What a script of `clients/` prints as JSON, given the server's ports for REST and gRPC."""
    uv = shutil.which("uv") or str(pathlib.Path(sys.prefix).parent / "tools" / "bin" / "uv")
    # The interpreter itself: by an environment's, uv would add to what that has.
    command = [uv, "run", "--quiet", "--no-project", "--python", sys._base_executable]  # type: ignore[attr-defined]
    for package in packages:
        command += ["--with", package]
    command += ["python", str(_CLIENTS / script), str(server.rest), str(server.grpc)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    if done.returncode and "No module named" not in done.stderr and "Traceback" not in done.stderr:
        pytest.skip(f"{', '.join(packages)} cannot be had: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
