"""Queues with real servers behind them, and a store with releases of a small model."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from model_store import ModelStore
from pipelines.queue.opening import open_queue
from pipelines.queue.queues import Queue
from tests.pipelines import tips_model
from tests.servers import PASSWORD, Redis, redis_server


class Place(Protocol):
    """A queue as its producer sees it."""

    uri: str

    def put(self, name: str, content: bytes) -> None: ...

    def failed(self) -> dict[str, str]:
        """The reasons of items that were set aside, by what `put` called them."""

    def tried(self, name: str) -> int:
        """How often an item was taken that is still there."""


class Folder:
    def __init__(self, root: pathlib.Path) -> None:
        self.root, self.uri = root, str(root)
        root.mkdir()

    def put(self, name: str, content: bytes) -> None:
        aside = self.root / f".{name}"
        aside.write_bytes(content)
        os.utime(aside, (1e9, 1e9))  # at rest for long
        aside.rename(self.root / f"{name}.json")

    def failed(self) -> dict[str, str]:
        found = {}
        for path in (self.root / "failed").glob("*.reason.json"):
            name = path.name.removesuffix(".reason.json")
            assert (path.parent / name).exists() and not (self.root / name).exists()
            found[name.removesuffix(".json")] = json.loads(path.read_text())["reason"]
        return found

    def tried(self, name: str) -> int:
        with contextlib.suppress(FileNotFoundError):
            return int((self.root / ".claims" / f"{name}.json").read_text() or 0)
        return 0


class Stream:
    def __init__(self, server: Redis) -> None:
        import redis

        self.server, self.name = server, uuid.uuid4().hex
        self.uri = server.uri(self.name)
        self.client: Any = redis.Redis(port=server.port, password=PASSWORD, decode_responses=True)
        self._names: dict[str, str] = {}

    def put(self, name: str, content: bytes) -> None:
        self._names[self.client.xadd(self.name, {"item": content})] = name

    def failed(self) -> dict[str, str]:
        said = [json.loads(fields["failure"]) for _, fields in self.client.xrange(f"{self.name}:failed")]
        return {self._names[one["item"]]: one["reason"] for one in said}

    def tried(self, name: str) -> int:
        if not self.client.exists(self.name):
            return 0
        handed_out = self.client.xpending_range(self.name, "trainyard", "-", "+", 1000)
        return sum(one["times_delivered"] for one in handed_out if self._names[one["message_id"]] == name)


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["folder", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "folder":
        return Folder(tmp_path / "inbox")
    monkeypatch.setenv("TRAINYARD_QUEUE_PASSWORD", PASSWORD)
    return Stream(request.getfixturevalue("redis"))


@pytest.fixture
def connect(place: Place) -> Any:
    """Opens the queue as a consumer of a name."""

    def opened(consumer: str) -> Queue:
        return open_queue(place.uri, "tips", consumer)

    return opened


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelStore]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("TRAINYARD_HOME", str(home))
        patch.setenv("TRAINYARD_STORE", str(home / "models"))
        yield tips_model.publish()
