"""The landing folder's trigger fires once for a span, whatever happens to the triggerer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from dags.triggers import SEEN, SpanTrigger, decode_spans, encode_spans, spans_in

PATTERN = r"span\-(\d+)"


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


def trigger(folder: Path, store: StateStore) -> SpanTrigger:
    one = SpanTrigger(str(folder), PATTERN, poll_seconds=0.01, settle_seconds=0.01)
    one.asset_state_store = store  # type: ignore[assignment]
    return one


async def events(one: SpanTrigger, settled: int = 1, told: int = 0) -> list[list[int]]:
    """What a triggerer sees before it is stopped: after so many settled events, and so many at all.

    A triggerer that should see nothing is given a moment in which it could.
    """
    store, seen = one.asset_state_store, list[list[int]]()
    assert isinstance(store, StateStore)
    enough = store.writes + settled

    async def consume() -> None:
        async for event in one.run():
            seen.append(event.payload["spans"])

    task = asyncio.create_task(consume())
    deadline = time.monotonic() + 20
    while (store.writes < enough or len(seen) < told) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    task.cancel()
    return seen


def land(folder: Path, span: int) -> None:
    (folder / f"span-{span}").mkdir(parents=True)


def test_spans_that_are_there_come_as_one_event(tmp_path: Path) -> None:
    land(tmp_path, 1)
    land(tmp_path, 2)
    assert asyncio.run(events(trigger(tmp_path, StateStore()))) == [[1, 2]]


def test_restarted_triggerer_does_not_fire_again(tmp_path: Path) -> None:
    store = StateStore()
    land(tmp_path, 1)
    assert asyncio.run(events(trigger(tmp_path, store))) == [[1]]
    assert asyncio.run(events(trigger(tmp_path, store), settled=0)) == []
    land(tmp_path, 2)
    assert asyncio.run(events(trigger(tmp_path, store))) == [[2]]


def test_late_span_fires_too(tmp_path: Path) -> None:
    store = StateStore()
    land(tmp_path, 5)
    asyncio.run(events(trigger(tmp_path, store)))
    land(tmp_path, 3)
    assert asyncio.run(events(trigger(tmp_path, store))) == [[3]]
    assert store.values[SEEN] == "3,5"


def test_span_that_is_not_settled_is_not_lost(tmp_path: Path) -> None:
    store = StateStore()
    land(tmp_path, 1)
    one = trigger(tmp_path, store)
    one.settle_seconds = 60
    assert asyncio.run(events(one, settled=0, told=1)) == [[1]]
    assert asyncio.run(events(trigger(tmp_path, store))) == [[1]], "killed before Airflow surely had it: told again"


def test_folder_that_appears_later(tmp_path: Path) -> None:
    async def scenario() -> list[list[int]]:
        task = asyncio.create_task(events(trigger(tmp_path / "data" / "taxi", StateStore())))
        await asyncio.sleep(0.2)
        land(tmp_path / "data" / "taxi", 1)
        return await task

    assert asyncio.run(scenario()) == [[1]]


def test_unfinished_and_foreign_names_do_not_count(tmp_path: Path) -> None:
    for name in (".span-1", "span-2.tmp", "span-x", "notes.txt", "span-3"):
        (tmp_path / name).mkdir()
    assert spans_in(tmp_path, PATTERN) == {3}
    assert spans_in(tmp_path / "absent", PATTERN) == set()


def test_spans_as_text() -> None:
    assert encode_spans({7, 1, 2, 3}) == "1-3,7"
    assert decode_spans("1-3,7") == {1, 2, 3, 7}
    assert decode_spans(encode_spans([])) == set()
    assert encode_spans(range(1, 3651)) == "1-3650"


def test_trigger_can_be_stored_and_made_again() -> None:
    one = SpanTrigger("/data/taxi", PATTERN, poll_seconds=2)
    path, arguments = one.serialize()
    assert path == "dags.triggers.SpanTrigger"
    assert SpanTrigger(**arguments).serialize() == (path, arguments)
