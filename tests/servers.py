"""Servers that tests of several folders start for themselves: processes of their own, on ports that the kernel chose."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import pytest

PASSWORD = "hunter2"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port} after {seconds:.0f} s")


@contextlib.contextmanager
def _listening(command: list[str], port: int) -> Iterator[None]:
    """A server that listens on a port while the body runs."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, server)
        yield
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """An S3-protocol server with no bucket; yields the environment that a pod's Secret would give."""
    port = free_port()
    with _listening([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        yield _reached_at(port)


GOFAKES3 = "github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0"
OWN_S3 = "TRAINYARD_TEST_S3"
"""Endpoint of another S3 server to test with, such as MinIO's or Amazon's; credentials as AWS's variables say."""


@contextlib.contextmanager
def conditional_s3_server() -> Iterator[dict[str, str]]:
    """An S3-protocol server that checks a condition and writes in one step, which moto's threads do not.

    It is built by Go, once a machine; skips the test where Go or its module proxy is out of reach.
    """
    if endpoint := os.environ.get(OWN_S3):
        yield {"AWS_ENDPOINT_URL": endpoint}
        return
    folder = pathlib.Path(tempfile.gettempdir()) / f"trainyard-tests-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    program = folder / "gofakes3"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one builds
        if not program.exists():
            if not shutil.which("go"):
                pytest.skip(f"needs Go, which builds the S3 server, or {OWN_S3} with the endpoint of another")
            environment = {**os.environ, "GOBIN": str(folder)}
            built = subprocess.run(["go", "install", GOFAKES3], env=environment, capture_output=True, text=True)
            if built.returncode:
                pytest.skip(f"go install {GOFAKES3}: {built.stderr.strip()[-200:]}")
    port = free_port()
    with _listening([str(program), "-host", f"127.0.0.1:{port}", "-backend", "memory"], port):
        yield _reached_at(port)


def _reached_at(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@contextlib.contextmanager
def reach_s3(environment: dict[str, str]) -> Iterator[str]:
    """URL of an empty bucket; this process and its children reach it until the end."""
    import fsspec

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()
        bucket = f"trainyard-{time.monotonic_ns()}"
        fsspec.filesystem("s3", use_listings_cache=False).mkdir(bucket)
        yield f"s3://{bucket}"


class Postgres:
    """A PostgreSQL server that can be taken away and brought back."""

    def __init__(self, folder: pathlib.Path, binaries: pathlib.Path, user: str | None) -> None:
        self._folder, self._binaries, self._user, self.port = folder, binaries, user, free_port()
        self._server: subprocess.Popen[bytes] | None = None
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        if user:
            shutil.chown(folder, user)
            shutil.chown(secret, user)
        self._run(
            "initdb",
            "-D",
            str(folder / "data"),
            "-U",
            "trainyard",
            "-E",
            "UTF8",
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(secret),
        )
        self.start()
        self.create_database("trainyard")

    def create_database(self, name: str) -> None:
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "trainyard", name)

    def url(self, database: str = "trainyard") -> str:
        """Without the password: that is PASSWORD."""
        return f"postgresql://trainyard@127.0.0.1:{self.port}/{database}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TRAINYARD_METADATA": f"postgresql://127.0.0.1:{self.port}/trainyard",
            "TRAINYARD_METADATA_USER": "trainyard",
            "TRAINYARD_METADATA_PASSWORD": PASSWORD,
        }

    def start(self) -> None:
        arguments = ["-D", str(self._folder / "data"), "-p", str(self.port), "-k", str(self._folder), "-h", "127.0.0.1"]
        self._server = subprocess.Popen(
            [str(self._binaries / "postgres"), *arguments, "-c", "fsync=off"],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_port(self.port, self._server)

    def stop(self) -> None:
        assert self._server
        self._server.send_signal(2)  # SIGINT: fast shutdown
        self._server.wait(30)

    def _run(self, program: str, *arguments: str) -> None:
        environment = {**os.environ, "PGPASSWORD": PASSWORD, "LC_ALL": "C"}
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(
            command, user=self._user, env=environment, cwd=self._folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A fresh PostgreSQL in a temporary folder; skips the test where it is not installed."""
    installed = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not installed:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    # PostgreSQL refuses to run as root; the folder must be one that its user can reach.
    user = "postgres" if os.getuid() == 0 else None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="trainyard-postgres-"))
    server = Postgres(folder, installed[-1].parent, user)
    try:
        yield server
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[dict[str, str]]:
    with s3_server() as environment:
        yield environment


@pytest.fixture(scope="module")
def s3(s3_environment: dict[str, str]) -> Iterator[str]:
    """URL of an empty bucket; this process and its children reach it."""
    with reach_s3(s3_environment) as bucket:
        yield bucket


class Redis:
    """A Redis server, with a password, that can be taken away and brought back with what it held."""

    def __init__(self, folder: pathlib.Path, program: str) -> None:
        self.port = free_port()
        settings = f"bind 127.0.0.1\nport {self.port}\nrequirepass {PASSWORD}\nappendonly yes\nappendfsync everysec\ndir {folder}\n"
        (folder / "redis.conf").write_text(settings)
        self._command = [program, str(folder / "redis.conf")]
        self.start()

    def uri(self, stream: str) -> str:
        """Without the password: that is PASSWORD."""
        return f"redis://127.0.0.1:{self.port}/0?stream={stream}"

    def start(self) -> None:
        self._server = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port, self._server)

    def stop(self) -> None:
        self._server.kill()
        self._server.wait()


@contextlib.contextmanager
def redis_server() -> Iterator[Redis]:
    """A fresh Redis in a temporary folder; skips the test where it is not installed."""
    if not (program := shutil.which("redis-server")):
        pytest.skip("Redis is not installed (Debian: apt install redis-server)")
    with tempfile.TemporaryDirectory(prefix="trainyard-redis-") as folder:
        server = Redis(pathlib.Path(folder), program)
        try:
            yield server
        finally:
            server.stop()
