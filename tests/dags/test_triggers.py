"""The watchers fire once for what is whole, whatever happens to the triggerer, in folders and on object stores."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from dags.triggers import LISTING, SEEN, SIGNS, FileTrigger, SpanTrigger, decode_signs, decode_spans, encode_spans
from landing import span_of_day


class StateStore:
    """Stands in for Airflow's asset state store, which outlives the triggerer."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.writes = 0

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value
        self.writes += 1


def spans(
    folder: Path | str, store: StateStore, pattern: str = "span-{SPAN}/*", quiet: float = 0, window: int = 1
) -> SpanTrigger:
    one = SpanTrigger(f"{folder}/{pattern}", quiet, poll_seconds=0.01, settle_seconds=0.01, window=window)
    one.asset_state_store = store  # type: ignore[assignment]
    return one


async def events(
    one: SpanTrigger | FileTrigger, settled: int = 1, told: int = 0, meanwhile: Callable[[], None] | None = None
) -> list[Any]:
    """What a triggerer sees before it is stopped: after so many settled events, and so many at all.

    A triggerer that should see nothing is given a moment in which it could.
    """
    store, seen = one.asset_state_store, list[Any]()
    assert isinstance(store, StateStore)
    enough = store.writes + settled

    async def consume() -> None:
        async for event in one.run():
            seen.append(event.payload.get("spans", event.payload["uri"]))

    task = asyncio.create_task(consume())
    if meanwhile is not None:
        await asyncio.sleep(0.15)
        assert seen == [], "too early"
        meanwhile()
    deadline = time.monotonic() + 20
    while (store.writes < enough or len(seen) < told) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    task.cancel()
    return seen


def land(folder: Path, name: int | str, *files: str) -> Path:
    target = folder / (f"span-{name}" if isinstance(name, int) else name)
    target.mkdir(parents=True, exist_ok=True)
    for file in files or ("a.csv",):
        (target / file).write_text("x\n1\n")
    return target


def test_spans_that_are_there_come_as_one_event(tmp_path: Path) -> None:
    land(tmp_path, 1)
    land(tmp_path, 2)
    assert asyncio.run(events(spans(tmp_path, StateStore()))) == [[1, 2]]


def test_restarted_triggerer_does_not_fire_again(tmp_path: Path) -> None:
    store = StateStore()
    land(tmp_path, 1)
    assert asyncio.run(events(spans(tmp_path, store))) == [[1]]
    assert asyncio.run(events(spans(tmp_path, store), settled=0)) == []
    land(tmp_path, 2)
    assert asyncio.run(events(spans(tmp_path, store))) == [[2]]


def test_late_span_fires_too(tmp_path: Path) -> None:
    store = StateStore()
    land(tmp_path, 5)
    asyncio.run(events(spans(tmp_path, store)))
    land(tmp_path, 3)
    assert asyncio.run(events(spans(tmp_path, store))) == [[3]]
    assert store.values[SEEN] == "3,5"


def test_span_that_is_not_settled_is_not_lost(tmp_path: Path) -> None:
    store = StateStore()
    land(tmp_path, 1)
    one = spans(tmp_path, store)
    one.settle_seconds = 60
    assert asyncio.run(events(one, settled=0, told=1)) == [[1]]
    assert asyncio.run(events(spans(tmp_path, store))) == [[1]], "killed before Airflow surely had it: told again"


def test_folder_that_appears_later(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "taxi"
    assert asyncio.run(events(spans(folder, StateStore()), meanwhile=lambda: void(land(folder, 1)))) == [[1]]


def test_a_job_that_has_not_committed_is_waited_for(tmp_path: Path) -> None:
    folder = land(tmp_path, 1)
    (folder / "_temporary").mkdir()

    def commit() -> None:
        (folder / "_temporary").rmdir()
        (folder / "_SUCCESS").touch()

    assert asyncio.run(events(spans(tmp_path, StateStore(), quiet=60), meanwhile=commit)) == [[1]]


def test_a_marker_is_asked_for_where_the_span_before_has_it(tmp_path: Path) -> None:
    land(tmp_path, 1, "a.csv", "_SUCCESS")
    store, folder = StateStore(), land(tmp_path, 2)
    assert asyncio.run(events(spans(tmp_path, store))) == [[1]]
    (folder / "_SUCCESS").touch()
    assert asyncio.run(events(spans(tmp_path, store))) == [[2]]


def test_a_folder_that_still_grows_is_waited_for(tmp_path: Path) -> None:
    folder = land(tmp_path, 1)
    started = time.monotonic()

    def grow() -> None:
        (folder / "b.csv").write_text("x\n")

    assert asyncio.run(events(spans(tmp_path, StateStore(), quiet=1.0), meanwhile=grow)) == [[1]]
    assert time.monotonic() - started > 1.15, "a second after the last change, not after the first look"


def test_a_span_that_is_removed_and_lands_anew_fires_again(tmp_path: Path) -> None:
    store = StateStore()
    land(tmp_path, 1)
    folder = land(tmp_path, 2)
    asyncio.run(events(spans(tmp_path, store)))
    shutil.rmtree(folder)
    assert asyncio.run(events(spans(tmp_path, store))) == []
    assert store.values[SEEN] == "1"
    land(tmp_path, 2, "mended.csv")
    assert asyncio.run(events(spans(tmp_path, store))) == [[2]]


def test_a_new_version_of_a_span_fires(tmp_path: Path) -> None:
    store, pattern = StateStore(), "span-{SPAN}/v{VERSION}/*"
    land(tmp_path, "span-7/v1")
    assert asyncio.run(events(spans(tmp_path, store, pattern))) == [[7]]
    land(tmp_path, "span-7/v2")
    assert asyncio.run(events(spans(tmp_path, store, pattern))) == [[7]]
    assert store.values[SEEN] == "7v2"
    assert asyncio.run(events(spans(tmp_path, store, pattern), settled=0)) == []


def test_a_span_that_training_looks_at_fires_when_it_is_replaced(tmp_path: Path) -> None:
    store = StateStore()
    for span in (1, 2, 3):
        land(tmp_path, span, "a.csv", "_SUCCESS")
    assert asyncio.run(events(spans(tmp_path, store, window=2))) == [[1, 2, 3]]
    for span in (1, 2):
        (tmp_path / f"span-{span}" / "a.csv").write_text("x\n1\n2\n")
    assert asyncio.run(events(spans(tmp_path, store, window=2))) == [[2]], "span 1 lies outside of the window"
    assert asyncio.run(events(spans(tmp_path, store, window=2), settled=0)) == [], "once"
    land(tmp_path, 4, "a.csv", "_SUCCESS")
    assert asyncio.run(events(spans(tmp_path, store, window=2))) == [[4]]
    assert sorted(decode_signs(store.values[SIGNS])) == [3, 4], "what is kept does not grow with the years"


def test_a_span_that_is_being_replaced_is_waited_for(tmp_path: Path) -> None:
    store, folder = StateStore(), land(tmp_path, 1, "a.csv", "_SUCCESS")
    asyncio.run(events(spans(tmp_path, store)))
    (folder / "a.csv.part").touch()

    def finish() -> None:
        (folder / "a.csv.part").rename(folder / "a.csv")

    assert asyncio.run(events(spans(tmp_path, store), meanwhile=finish)) == [[1]]


def test_what_an_older_trainyard_has_seen_does_not_count_as_replaced(tmp_path: Path) -> None:
    store, folder = StateStore(), land(tmp_path, 1)
    store.values[SEEN] = "1"
    assert asyncio.run(events(spans(tmp_path, store))) == []
    (folder / "a.csv").write_text("x\n7\n8\n")
    assert asyncio.run(events(spans(tmp_path, store))) == [[1]]


def test_days_are_spans_past_midnight_and_a_year_s_end(tmp_path: Path) -> None:
    store, pattern = StateStore(), "{YYYY}/{MM}/{DD}/*"
    old, new = datetime.date(2026, 12, 31), datetime.date(2027, 1, 1)
    land(tmp_path, f"{old:%Y/%m/%d}")
    assert asyncio.run(events(spans(tmp_path, store, pattern))) == [[span_of_day(old)]]
    land(tmp_path, f"{new:%Y/%m/%d}")
    land(tmp_path, "2027/13/40")
    assert asyncio.run(events(spans(tmp_path, store, pattern))) == [[span_of_day(old) + 1]]


def test_an_object_store_is_watched_too() -> None:
    filesystem, bucket = fsspec.filesystem("memory"), f"bucket-{uuid.uuid4().hex}"
    filesystem.pipe(f"/{bucket}/span-1/a.csv", b"x")
    store = StateStore()
    assert asyncio.run(events(spans(f"memory://{bucket}", store))) == [[1]]
    filesystem.pipe(f"/{bucket}/span-2/_temporary/0/part", b"x")
    assert asyncio.run(events(spans(f"memory://{bucket}", store), settled=0)) == []
    filesystem.rm(f"/{bucket}/span-2/_temporary", recursive=True)
    filesystem.pipe(f"/{bucket}/span-2/a.csv", b"x")
    assert asyncio.run(events(spans(f"memory://{bucket}", store))) == [[2]]


def test_a_place_that_cannot_be_listed_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, failures = f"bucket-{uuid.uuid4().hex}", [OSError("no route to host")] * 2
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe(f"/{bucket}/span-1/a.csv", b"x")
    listed = type(filesystem).ls

    def ls(self: Any, *arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return listed(self, *arguments, **options)

    monkeypatch.setattr(type(filesystem), "ls", ls)
    assert asyncio.run(events(spans(f"memory://{bucket}", StateStore()))) == [[1]]
    assert not failures


def test_foreign_names_do_not_count(tmp_path: Path) -> None:
    for name in (".span-1", "span-2.tmp", "span-x", "span-3"):
        land(tmp_path, name)
    (tmp_path / "notes.txt").write_text("span-4")
    assert asyncio.run(events(spans(tmp_path, StateStore()))) == [[3]]


def test_files_fire_once_for_each_change_at_rest(tmp_path: Path) -> None:
    store = StateStore()

    def trigger() -> FileTrigger:
        one = FileTrigger(f"{tmp_path}/inbox/*.csv", 0.1, poll_seconds=0.01, settle_seconds=0.01)
        one.asset_state_store = store  # type: ignore[assignment]
        return one

    assert asyncio.run(events(trigger(), settled=0)) == [], "an empty inbox is no news"
    land(tmp_path, "inbox")
    assert asyncio.run(events(trigger())) == [f"{tmp_path}/inbox/*.csv"]
    assert asyncio.run(events(trigger(), settled=0)) == []
    land(tmp_path, "inbox", "b.csv")
    assert len(asyncio.run(events(trigger()))) == 1
    assert store.values[LISTING]


def test_spans_as_text() -> None:
    assert encode_spans({7, 1, 2, 3}) == "1-3,7"
    assert decode_spans("1-3,7") == {1: 0, 2: 0, 3: 0, 7: 0}
    assert decode_spans(encode_spans({1: 0, 2: 3, 9: 12})) == {1: 0, 2: 3, 9: 12}
    assert decode_spans(encode_spans([])) == {}
    assert encode_spans(range(1, 3651)) == "1-3650"


@pytest.mark.parametrize("kind", [SpanTrigger, FileTrigger])
def test_trigger_can_be_stored_and_made_again(kind: Any) -> None:
    one = kind("/data/taxi/span-{SPAN}/*", poll_seconds=2)
    path, arguments = one.serialize()
    assert path == f"dags.triggers.{kind.__name__}"
    assert kind(**arguments).serialize() == (path, arguments)


def void(_: object) -> None: ...
