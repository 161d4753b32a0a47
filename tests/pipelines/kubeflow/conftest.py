"""Real servers, each a process of its own on a free port: an S3-protocol object store, and PostgreSQL where it is installed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.servers import Postgres, free_port, postgres_server, wait_for_port

BUCKET = "trainyard"


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[dict[str, str]]:
    """An S3-protocol server with an empty bucket; the environment that a pod's Secret would give."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        wait_for_port(port, server)
        yield environment
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def s3(s3_environment: dict[str, str]) -> Iterator[str]:
    """URL of an empty bucket; this process and its children reach it."""
    import fsspec

    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()
        store = fsspec.filesystem("s3", use_listings_cache=False)
        bucket = f"{BUCKET}-{time.monotonic_ns()}"
        store.mkdir(bucket)
        yield f"s3://{bucket}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server
