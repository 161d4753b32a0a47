"""The trigger that watches a landing folder. The triggerer keeps the module in memory: restart it after a change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

SEEN = "spans_seen"


class SpanTrigger(BaseEventTrigger):
    """Fires once for the spans that appeared in a landing folder.

    The spans seen so far are kept in the asset's state store, so a restart of the triggerer does not fire again.
    They are written `settle_seconds` after the event, when Airflow has stored it: a crash in between repeats an event
    (`retrain_<workload>` skips a span that it has handled) and never loses one.

    Args:
        folder: The landing folder; it need not exist yet.
        pattern: Regular expression for a whole name in it; the one group is the span's number.
        poll_seconds: Seconds between two looks.
        settle_seconds: Seconds from an event to its entry in the state store.
    """

    def __init__(self, folder: str, pattern: str, poll_seconds: float = 5.0, settle_seconds: float = 5.0) -> None:
        super().__init__()
        self.folder = folder
        self.pattern = pattern
        self.poll_seconds = poll_seconds
        self.settle_seconds = settle_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "folder": self.folder,
            "pattern": self.pattern,
            "poll_seconds": self.poll_seconds,
            "settle_seconds": self.settle_seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        seen = await self._load()
        while True:
            present = await asyncio.to_thread(spans_in, Path(self.folder), self.pattern)
            if fresh := sorted(present - seen):
                seen |= present
                yield TriggerEvent({"spans": fresh, "span": fresh[-1], "folder": self.folder})
                await asyncio.sleep(self.settle_seconds)
                await self._store(seen)
            await asyncio.sleep(self.poll_seconds)

    async def _load(self) -> set[int]:
        if self.asset_state_store is None:
            return set()
        return decode_spans(str(await self.asset_state_store.aget(SEEN, default="") or ""))

    async def _store(self, seen: Iterable[int]) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(SEEN, encode_spans(seen))


def spans_in(folder: Path, pattern: str) -> set[int]:
    """The numbers of the spans in a landing folder; empty when there is no such folder.

    Names that start with a dot are unfinished and do not count.
    """
    try:
        names = [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return set()
    matches = (re.fullmatch(pattern, name) for name in names if not name.startswith("."))
    return {int(match.group(1)) for match in matches if match}


def encode_spans(spans: Iterable[int]) -> str:
    """Writes spans as ranges, so that years of daily spans stay one short value.

    Example:
        >>> encode_spans({1, 2, 3, 7})
        '1-3,7'
    """
    ranges: list[list[int]] = []
    for span in sorted(set(spans)):
        if ranges and span == ranges[-1][1] + 1:
            ranges[-1][1] = span
        else:
            ranges.append([span, span])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def decode_spans(text: str) -> set[int]:
    """Reads what `encode_spans` wrote."""
    spans: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        spans.update(range(int(first), int(last or first) + 1))
    return spans
