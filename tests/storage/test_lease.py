"""Leases in an object store, whose clock and renewals are in the test's hands."""

from __future__ import annotations

import json
import time
import uuid

import pytest

import storage
from storage import _conditional, _lease


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> storage.Files:
    monkeypatch.setattr(_lease, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(_lease, "LOCK_SECONDS", 2.0)
    return storage.open_files(f"memory://{uuid.uuid4().hex}/models")


def record(seconds: float) -> bytes:
    return json.dumps({"holder": "another", "until": time.time() + seconds}).encode()


def test_a_lease_is_renewed_while_it_is_needed(files: storage.Files) -> None:
    with files.lock("lock") as still_held:
        holder = json.loads(files.read("lock"))["holder"]
        time.sleep(2.5)
        still_held()
        assert json.loads(files.read("lock"))["holder"] == holder
    assert json.loads(files.read("lock"))["until"] == 0


@pytest.mark.parametrize("left", [b'{"holder": "another", "until": 1.5}', b"", b"[]", b'{"until": null}'])
def test_what_a_dead_holder_left_is_taken_over(files: storage.Files, left: bytes) -> None:
    files.write("lock", left)
    with files.lock("lock") as still_held:
        still_held()


def test_a_living_holder_is_waited_for(files: storage.Files) -> None:
    files.write("lock", record(0.5))
    began = time.monotonic()
    with files.lock("lock"):
        assert time.monotonic() - began > 0.3
    files.write("lock", record(60))
    with pytest.raises(storage.Busy, match="another process has held memory://"), files.lock("lock"):
        pass
    assert json.loads(files.read("lock"))["holder"] == "another"


def test_who_was_overtaken_is_told_and_leaves_the_others_lease_alone(files: storage.Files) -> None:
    others = record(60)
    with files.lock("lock") as still_held:
        files.write("lock", others)
        deadline = time.monotonic() + 10
        with pytest.raises(storage.LeaseLost, match="nothing was changed"):
            while time.monotonic() < deadline:
                still_held()
    assert files.read("lock") == others


def test_who_slept_too_long_is_told(files: storage.Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lease._Lease, "keep", lambda self: None)  # as in a process that was stopped
    with files.lock("lock") as still_held:
        time.sleep(1.0)
        with pytest.raises(storage.LeaseLost):
            still_held()


def test_a_server_that_ignores_conditions_is_not_relied_on(
    files: storage.Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: _conditional._Memory, path: str, data: bytes, version: str | None) -> str:
        self._fs.pipe_file(path, data)
        return self.read(path)[1]

    monkeypatch.setattr(_conditional._Memory, "write", write)
    with pytest.raises(storage.NoConditionalWrites, match="writes whatever the condition"), files.lock("lock"):
        pass


def test_a_store_without_conditional_writes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(_conditional._KINDS, "memory")
    files = storage.open_files("memory://plain/models")
    files.write("one", b"1")
    with pytest.raises(storage.NoConditionalWrites, match="'memory' cannot write on a condition"), files.lock("lock"):
        pass


def test_an_answer_that_got_lost_is_no_conflict(files: storage.Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients send a request again when the connection drops before the answer; the second then meets the first."""
    write = _conditional._Memory.write

    def twice(self: _conditional._Memory, path: str, data: bytes, version: str | None) -> str:
        write(self, path, data, version)
        return write(self, path, data, version)

    monkeypatch.setattr(_conditional._Memory, "write", twice)
    assert files.swap("one", b"1", files.swap("one", b"0", None)) == files.read_version("one")[1]
