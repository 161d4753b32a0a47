"""Small real models in a store, and real server processes on free ports."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from model_store import STABLE, ModelStore, Release, ReleaseDraft

sys.path.insert(0, str(pathlib.Path(__file__).parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

Answer = tuple[int, Any, http.client.HTTPMessage]
Publish = Callable[..., Release]


class Server:
    """A running `python -m serving`."""

    def __init__(self, folder: pathlib.Path, store: ModelStore, *options: str) -> None:
        self._ready = folder / "ready.json"
        self._log = folder / "log.txt"
        command = [sys.executable, "-m", "serving", "--store", store.uri, "--ready-file", str(self._ready)]
        command += ["--rest-port", "0", "--grpc-port", "0", "--poll-seconds", "0.1", "--lame-duck-seconds", "0"]
        command += ["--cache", str(folder / "cache"), "--workers", "1", *options]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=log)
        self.rest = self.grpc = 0

    def wait_until_ready(self, seconds: float = 300) -> Server:
        wait_for(lambda: self._ready.exists() or self.process.poll() is not None, seconds)
        assert self.process.poll() is None, self.log()
        ports = json.loads(self._ready.read_text())
        assert ports["pid"] == self.process.pid
        self.rest, self.grpc = ports["rest"], ports["grpc"]
        return self

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Status, parsed JSON (or text) and headers; a body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest, timeout=60)
        with contextlib.closing(connection):
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, sent, dict(headers or {}))
            response = connection.getresponse()
            text = response.read().decode()
            is_json = text and response.headers["content-type"] == "application/json"
            return response.status, json.loads(text) if is_json else text, response.headers

    def post(self, path: str, body: Any) -> Answer:
        return self.ask("POST", f"/v1/models/{path}", body)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Waits until a condition holds, and gives its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.05)
    return value


def publisher(store: ModelStore) -> Publish:
    def publish(model: str, export: pathlib.Path, label: str | None = STABLE) -> Release:
        key = f"{model}-{len(store.versions(model)) + 1}"
        release = store.publish(model, export, ReleaseDraft(publication_key=key, task="binary"))
        if label:
            store.set_label(model, label, release.version, reason="test", actor="test")
        return release

    return publish


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Exported SavedModels by name; taxi_0 to taxi_3 differ in their bias."""
    import saved_models

    folder = tmp_path_factory.mktemp("exports")
    makers = {"digits": saved_models.save_digits, "house": saved_models.save_house, "codec": saved_models.save_codec}
    made = {name: make(folder / name) for name, make in makers.items()}
    return made | {f"taxi_{n}": saved_models.save_taxi(folder / f"taxi_{n}", bias=float(n)) for n in range(4)}


@pytest.fixture(scope="session")
def server(exports: dict[str, pathlib.Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that several tests ask and none changes: taxi (stable 1, canary 2), digits, house and codec."""
    folder = tmp_path_factory.mktemp("server")
    store = ModelStore(folder / "models")
    publish = publisher(store)
    publish("taxi", exports["taxi_0"])
    publish("taxi", exports["taxi_1"], "canary")
    publish("taxi", exports["taxi_2"], None)
    for name in ("digits", "house", "codec"):
        publish(name, exports[name])
    running = Server(folder, store)
    try:
        yield running.wait_until_ready()
    finally:
        running.stop()


@pytest.fixture
def store(tmp_path: pathlib.Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def publish(store: ModelStore) -> Publish:
    return publisher(store)


@pytest.fixture
def start(tmp_path: pathlib.Path, store: ModelStore) -> Iterator[Callable[..., Server]]:
    """Starts servers on the test's own store, and ends them."""
    running: list[Server] = []

    def begin(*options: str) -> Server:
        folder = tmp_path / f"server-{len(running)}"
        folder.mkdir()
        running.append(Server(folder, store, *options))
        return running[-1]

    yield begin
    for one in running:
        one.stop()
    shutil.rmtree(tmp_path / "models", ignore_errors=True)
