"""`trainyard predict --queue` as a process of its own, whose consumers are killed: every item once, none lost, none twice."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import queue
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli import main as cli
from pipelines.queue import consumer as consumer_module
from pipelines.queue.consumer import Consumer
from pipelines.queue.opening import open_queue
from pipelines.queue.settings import Settings
from spec import home
from spec.errors import TryAgainError
from storage import open_files
from tests.pipelines.queue.conftest import Folder
from tests.servers import conditional_s3_server, reach_s3

_READY = re.compile(r"consumer \d+ \(pid (\d+)\) is ready: release (\d+)")


@dataclasses.dataclass
class Running:
    """The command, as it runs, and what it said."""

    process: subprocess.Popen[str]
    lines: queue.Queue[str]

    def wait_for(self, pattern: re.Pattern[str] | str, seconds: float = 300) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                line = self.lines.get(timeout=0.2)
                if found := re.search(pattern, line):
                    return found
            assert self.lines.qsize() or self.process.poll() is None, f"it ended before it said {pattern!r}"
        raise AssertionError(f"it did not say {pattern!r}")

    def end(self) -> dict[str, Any]:
        """Waits for the end; what it said as JSON."""
        assert self.process.stdout
        out = self.process.stdout.read()
        self.process.wait(300)
        found: dict[str, Any] = json.loads(out)
        assert found["exit_code"] == self.process.returncode
        return found


@pytest.fixture
def start(store, place, tmp_path: pathlib.Path) -> Iterator[Callable[..., Running]]:
    started = []

    def begin(*options: str) -> Running:
        command = [sys.executable, "-m", "cli.main", "predict", "tips", "--queue", place.uri]
        process = subprocess.Popen(
            [*command, "--out", str(tmp_path / "results"), "--json", *options],
            cwd=home.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line) for line in process.stderr or ()], daemon=True).start()
        return Running(process, lines)

    yield begin
    for process in started:
        process.kill()
        process.wait()


def item(name: str, fare: float = 1.0, miles: float = 0.0) -> bytes:
    return json.dumps({"id": name, "instances": [{"fare": fare, "miles": miles, "kind": "card"}]}).encode()


def results(folder: pathlib.Path) -> pa.Table:
    files = sorted(folder.glob("*.parquet"))
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {path.name for path in files}
    return pa.concat_tables([pq.read_table(path) for path in files])


def insist_on_each_once(folder: pathlib.Path, fares: dict[str, float]) -> None:
    """Every item has its one row, with what version 1 says to its fare."""
    found = results(folder)
    assert collections.Counter(found["item"].to_pylist()) == collections.Counter(fares.keys())
    for name, probability in zip(found["item"].to_pylist(), found["probability"].to_pylist(), strict=True):
        assert probability == pytest.approx(1 / (1 + math.exp(-0.1 * (fares[name] - 15) - 2)), abs=1e-6)


def kill_consumers(running: Running, kills: int, seed: int, feed: Callable[[], None]) -> None:
    """Kills consumers that are at work, each at some moment, and keeps the queue from running dry until then."""
    random_ = random.Random(seed)
    for _ in range(kills):
        pid = int(running.wait_for(_READY)[1])
        feed()
        time.sleep(random_.uniform(0.02, 0.6))
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("kills", "consumers"), [(1, 1), pytest.param(20, 2, marks=pytest.mark.slow)])
def test_each_item_is_answered_once_though_consumers_are_killed(
    place, start, tmp_path, kills: int, consumers: int
) -> None:
    fares: dict[str, float] = {}

    def feed() -> None:
        for number in range(len(fares), len(fares) + 40):  # of some 10 ms each
            fares[f"item-{number}"] = number % 50
            place.put(f"item-{number}", item(f"item-{number}", number % 50, miles=1.0))

    feed()
    running = start("--consumers", str(consumers), "--attempts", "100")
    kill_consumers(running, kills, seed=7, feed=feed)
    wait_until(open_queue(place.uri, "tips", "onlooker").is_empty)
    running.process.terminate()
    found = running.end()
    insist_on_each_once(tmp_path / "results", fares)
    assert (found["failed"], place.failed(), found["failed_rows"], found["error"]) == (0, {}, 0, "")
    assert (
        kills - found["restarts"] in (0, 1) and found["exit_code"] == 0
    )  # the last may have died with nothing left to do
    # A result that was created, and whose consumer died before it could say so, was found by the next.
    assert found["done"] == found["rows"] + found["found"] <= len(fares)


@pytest.mark.slow  # TensorFlow is loaded three times
def test_an_item_that_kills_its_consumer_is_set_aside_and_no_other(place, start, tmp_path) -> None:
    fares = {f"item-{number}": number for number in range(6)}
    for name, fare in fares.items():
        place.put(name, item(name, fare))
    place.put("deadly", item("deadly", miles=1e7))  # takes hours; the test is what kills for it
    place.put("broken", b"{")
    running = start("--drain", "--attempts", "2")
    for attempt in range(2):
        pid = int(running.wait_for(_READY)[1])
        wait_until(lambda attempt=attempt: place.tried("deadly") == attempt + 1)
        os.kill(pid, signal.SIGKILL)
    found = running.end()
    assert (found["done"], found["failed"], found["exit_code"], found["restarts"]) == (6, 2, 0, 2)
    reasons = place.failed()
    assert (
        reasons["deadly"] == "the consumer died each of 2 times that it was tried"
        and "is not JSON" in reasons["broken"]
    )
    insist_on_each_once(tmp_path / "results", fares)


def wait_until(what: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sigterm_ends_it_when_the_item_at_hand_is_done(place, start, tmp_path) -> None:
    running = start()
    running.wait_for(_READY)
    place.put("long", item("long", miles=300.0))
    wait_until(lambda: place.tried("long") == 1)
    running.process.terminate()
    found = running.end()
    assert (found["done"], found["rows"], found["exit_code"], found["error"]) == (1, 1, 0, "")
    assert open_queue(place.uri, "tips", "after").is_empty()


def total(reports: list[dict[str, Any]], name: str) -> int:
    return sum(one.get(name, 0) for one in reports)


class Failing:
    """A test double of a release: it fails on some items by an error that nobody foresaw."""

    def __init__(self, release: Any) -> None:
        self._release = release

    def now(self) -> Failing:
        return self

    def answer(self, items: Any, scratch: pathlib.Path) -> Any:
        if any(one.id.startswith("odd") for one in items):
            raise RuntimeError("a bug")
        if any(one.id.startswith("away") for one in items):
            raise TryAgainError("s3://bucket: does not answer")
        return self._release.answer(items, scratch)


@pytest.fixture
def consume(store, place, tmp_path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Drains the queue in this process, with a release that may fail; returns the reports."""
    from pipelines.queue.answering import Release

    release = Failing(Release(store, "tips", 1, tmp_path / "fetched"))
    settings = Settings("one", place.uri, str(tmp_path / "results"), "tips", "1", 3, True, (), str(tmp_path), 0)
    said: list[dict[str, Any]] = []

    def drain() -> list[dict[str, Any]]:
        taker, results = open_queue(place.uri, "tips", "one"), open_files(settings.out)
        Consumer(taker, release, results, settings, lambda: False, lambda one: said.append(dict(one))).run()  # type: ignore[arg-type]
        return said

    yield drain


def test_an_error_that_nobody_foresaw_counts_against_the_item_alone(place, consume, tmp_path) -> None:
    fares = {f"item-{number}": number for number in range(5)}
    for name, fare in fares.items():
        place.put(name, item(name, fare))
    place.put("odd", item("odd"))
    consume()
    assert place.failed() == {"odd": "failed each of 3 times that it was tried; the last: RuntimeError: a bug"}
    insist_on_each_once(tmp_path / "results", fares)


def test_what_is_away_is_no_items_fault(place, consume) -> None:
    place.put("away", item("away"))
    for _ in range(5):  # more often than an item is tried
        with pytest.raises(TryAgainError):
            consume()
    assert place.failed() == {}
    (again,) = open_queue(place.uri, "tips", "one").take(1)
    assert again.attempt <= 2


def test_a_second_delivery_finds_the_result(place, consume, tmp_path) -> None:
    for name in ("first", "second"):
        place.put(name, item("same"))
    said = consume()
    assert (total(said, "done"), total(said, "found"), total(said, "rows")) == (2, 1, 1)
    (path,) = (tmp_path / "results").glob("*.parquet")
    written = path.stat().st_mtime_ns
    place.put("third", item("same", fare=30.0))
    consume()
    assert path.stat().st_mtime_ns == written and place.failed() == {}


def test_results_in_an_object_store_are_created_once(store, tmp_path) -> None:
    from pipelines.queue.answering import Release

    inbox = Folder(tmp_path / "inbox")
    for fare in (1, 2):
        inbox.put(f"fare-{fare}", item("same", fare))
    with conditional_s3_server() as environment, reach_s3(environment) as bucket:
        settings = Settings("one", inbox.uri, bucket, "tips", "1", 3, True, (), str(tmp_path), 0)
        release, results = Failing(Release(store, "tips", 1, tmp_path / "fetched")), open_files(f"{bucket}/results")
        said: list[dict[str, Any]] = []
        taker = open_queue(inbox.uri, "tips", "one")
        consumer = Consumer(taker, release, results, settings, lambda: False, lambda one: said.append(dict(one)))  # type: ignore[arg-type]
        consumer._most = 2  # at hand together, so that no look at the store shows it
        consumer.run()
        assert list(results.files("")) == ["same.parquet"]
        assert (total(said, "done"), total(said, "found"), total(said, "rows")) == (2, 1, 1)


def test_a_file_where_results_should_go_is_not_taken_for_a_result(place, consume, tmp_path) -> None:
    place.put("a", item("a"))
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(OSError, match="results"):
        consume()
    assert not open_queue(place.uri, "tips", "one").is_empty()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--queue", "{inbox}", "--out", "{inbox}"], "is the queue, where results would be items"),
        (["--queue", "{inbox}", "--out", "{file}"], "is a file. Name a folder"),
        (["--queue", "{inbox}/none", "--out", "{out}"], "there is no such folder"),
        (["--queue", "{inbox}", "--out", "{out}", "--keys", "a", "--overwrite"], "--keys, --overwrite: is for --data"),
        (["--data", "x.csv", "--out", "{out}", "--drain"], "--drain: is for --queue"),
        (["--queue", "{inbox}", "--out", "{out}", "--release", "9"], "tips has no release 9"),
    ],
)
def test_a_request_that_is_wrong_is_refused_before_anything_starts(store, tmp_path, capsys, options, why: str) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "file").write_text("")
    places = {name: str(tmp_path / name) for name in ("inbox", "file", "out")}
    assert cli.main(["predict", "tips", *(one.format(**places) for one in options)]) == 2
    said = capsys.readouterr().err
    assert why in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_consumers_that_never_come_up_end_the_run(store, start, place) -> None:
    published = pathlib.Path(store.uri) / "tips" / "1" / "saved_model.pb"
    content = published.read_bytes()
    published.write_bytes(content + b"x")
    try:
        found = start("--drain").end()
    finally:
        published.write_bytes(content)
    assert found["exit_code"] == 2 and "is not what was published" in found["error"]


def test_batches_grow_while_they_are_quick(place, consume, monkeypatch) -> None:
    sizes: list[int] = []
    work = consumer_module.Consumer._work
    monkeypatch.setattr(
        consumer_module.Consumer, "_work", lambda self, taken: (sizes.append(len(taken)), work(self, taken))[1]
    )
    monkeypatch.setattr(consumer_module, "_QUICK_S", 1e9)
    for number in range(10):
        place.put(f"item-{number}", item(f"item-{number}"))
    consume()
    assert sizes == [1, 2, 4, 3]
