"""Servers that tests of several folders start for themselves: processes of their own, on ports that the kernel chose."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
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
