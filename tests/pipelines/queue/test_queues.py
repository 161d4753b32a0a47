"""What every queue has to do, on a folder and on a Redis server."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from pipelines.queue import redis_stream
from pipelines.queue.opening import open_queue
from pipelines.queue.queues import Queue
from pipelines.queue.redis_stream import RedisStream
from spec.errors import InputError, TryAgainError
from tests.servers import PASSWORD


def take_all(queue: Queue, most: int = 10) -> list[str]:
    return [one.key for one in queue.take(most)]


def test_an_item_is_one_consumers_until_it_is_done(place, connect) -> None:
    one, other = connect("one"), connect("other")
    assert one.is_empty() and one.take(10) == []
    for name in "abc":
        place.put(name, b"{}")
    first = one.take(2)
    assert [delivery.attempt for delivery in first] == [1, 1]
    second = other.take(10)
    assert len(second) == 1 and not {d.key for d in first} & {d.key for d in second}
    assert not one.is_empty()
    one.done(first)
    assert one.take(10) == []
    assert not one.is_empty()
    other.done(second)
    assert one.is_empty() and one.take(10) == [] and place.failed() == {}
    one.close()
    other.close()


def test_an_item_that_was_tried_comes_back_alone_and_is_counted(place, connect) -> None:
    queue = connect("one")
    place.put("a", b"{}")
    (tried,) = queue.take(10)
    for name in "bc":
        place.put(name, b"{}")
    queue.give_back(tried, tried=True)
    (again,) = queue.take(1)
    assert (again.key, again.attempt) == (tried.key, 2)
    queue.give_back(again, tried=False)
    place.put("0", b"{}")  # before it, in a folder
    queue, found = connect("one"), []  # its successor, who has looked at nothing yet
    while not queue.is_empty():
        found.append(queue.take(10))
        queue.done(found[-1])
    assert [(tried.key, 2)] in [
        [(one.key, one.attempt) for one in some] for some in found
    ]  # the time between did not count
    assert sorted(one.attempt for some in found for one in some) == [1, 1, 1, 2]


def test_what_is_set_aside_is_kept_with_the_reason(place, connect) -> None:
    queue = connect("one")
    place.put("a", b"{broken")
    (taken,) = queue.take(10)
    queue.set_aside(taken, "is not JSON")
    assert queue.is_empty() and place.failed() == {"a": "is not JSON"}


HOLD = """
import sys, time
from pipelines.queue.opening import open_queue
queue = open_queue(sys.argv[1], "tips", "one")
print(len(queue.take(10)), flush=True)
time.sleep(600)
"""


def test_what_a_killed_consumer_had_is_its_successors(place, connect) -> None:
    place.put("a", b"{}")
    place.put("b", b"{}")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, place.uri], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"2\n"
    holder.kill()
    holder.wait()
    queue = connect("one")
    for _ in range(2):
        (taken,) = queue.take(10)
        assert taken.attempt == 2
        queue.done([taken])
    assert queue.is_empty()


def test_a_dead_consumers_entry_is_anyones_after_the_lease(redis, monkeypatch) -> None:
    monkeypatch.setenv("TRAINYARD_QUEUE_PASSWORD", PASSWORD)
    uri = redis.uri("leases")
    lives, dead, heir = (RedisStream(uri, "tips", name, lease_s=0.5) for name in ("lives", "dead", "heir"))
    for _ in range(2):
        lives._client.xadd("leases", {"item": "{}"})
    kept, lost = lives.take(1), dead.take(1)
    deadline = time.monotonic() + 30
    while not (found := heir.take(10)) and time.monotonic() < deadline:
        lives.keep(kept)
    assert [(one.key, one.attempt) for one in found] == [(lost[0].key, 2)]
    # Its first holder was not dead after all: that the entry is set aside twice leaves one dead letter.
    for queue in (heir, dead):
        queue.set_aside(found[0], "too late")
    assert lives._client.xlen("leases:failed") == 1


def test_a_stream_that_is_deleted_begins_anew(redis, monkeypatch) -> None:
    monkeypatch.setenv("TRAINYARD_QUEUE_PASSWORD", PASSWORD)
    queue = RedisStream(redis.uri("gone"), "tips", "one")
    queue._client.delete("gone")
    queue._client.xadd("gone", {"item": "{}"})
    assert queue.take(1) == [] and len(queue.take(1)) == 1


def test_a_server_that_is_away_is_waited_for(redis, monkeypatch, capsys) -> None:
    monkeypatch.setenv("TRAINYARD_QUEUE_PASSWORD", PASSWORD)
    queue = RedisStream(redis.uri("away"), "tips", "one")
    queue._client.xadd("away", {"item": "{}"})
    redis.stop()
    back = threading.Timer(0.5, redis.start)
    try:
        monkeypatch.setattr(redis_stream, "_PATIENCE_S", 0.2)
        with pytest.raises(
            TryAgainError, match=r"^redis://127\.0\.0\.1:\d+/0\?stream=away: the server does not answer"
        ):
            queue.take(1)
        monkeypatch.setattr(redis_stream, "_PATIENCE_S", 60.0)
        back.start()
        assert len(queue.take(1)) == 1
    finally:
        if back.ident is None:
            redis.start()
        else:
            back.join()
    assert "is away, trying again" in capsys.readouterr().out


def test_passwords_are_neither_taken_from_a_uri_nor_shown(redis, monkeypatch) -> None:
    monkeypatch.setattr(redis_stream, "_PATIENCE_S", 0.2)
    with pytest.raises(InputError, match="has a password") as refused:
        open_queue(redis.uri("s").replace("//", f"//me:{PASSWORD}@"), "tips", "one")
    assert PASSWORD not in str(refused.value)
    for odd in (f"redis://:{PASSWORD}/x@host/0", f"kafka://me:{PASSWORD}@host/0"):
        with pytest.raises(InputError) as refused:
            open_queue(odd, "tips", "one")
        assert PASSWORD not in str(refused.value)
    monkeypatch.setenv("TRAINYARD_QUEUE_PASSWORD", "wrong one")
    with pytest.raises(InputError, match="TRAINYARD_QUEUE_PASSWORD") as refused:
        open_queue(redis.uri("s"), "tips", "one")
    assert "wrong one" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("kafka://host:9092/topic", "kafka:// is no queue"),
        ("redis://host/zero", "expected redis://"),
        ("redis://host:port/0", "expected redis://"),
        ("redis://host/0?stream=a&group=b", "expected redis://"),
        ("/no/such/folder", "there is no such folder"),
    ],
)
def test_a_queue_that_is_none_is_refused(uri: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        open_queue(uri, "tips", "one")


def test_what_is_still_being_written_is_left_alone(tmp_path: pathlib.Path) -> None:
    queue = open_queue(f"file://{tmp_path}", "tips", "one")
    for name in (".hidden.json", "_SUCCESS", "a.json.tmp", "fresh.json"):
        (tmp_path / name).write_bytes(b"{}")
    now = time.time()
    os.utime(tmp_path / "fresh.json", (now, now))
    assert take_all(queue) == []
    assert not queue.is_empty()  # it will be one
    os.utime(tmp_path / "fresh.json", (1e9, 1e9))
    assert take_all(queue) == ["fresh.json"]
