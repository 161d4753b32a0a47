"""The triggers that watch landing folders. The triggerer keeps the module in memory: restart it after a change.

They use fsspec, so folders and object stores are watched in the same way, and follow the rules of `landing`, so they report
exactly what ingestion reads.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from landing import Location, fingerprint, is_marked, locations, refresh, unfinished
from spec.words import one_line

SEEN = "spans_seen"
SIGNS = "spans_signs"
LISTING = "listing_seen"
_SETTLE_SECONDS = 5.0
_LONGEST_PAUSE_S = 300.0
_REST_PER_LOOK = 20.0


class _Watcher(BaseEventTrigger):
    """Polls every few seconds, and records an event once Airflow is sure to have it.

    What was seen is kept in the asset's state store, so a restart of the triggerer does not fire again. It is written
    `settle_seconds` after the event: a crash in between repeats an event (the DAGs ignore what they have processed) but never
    loses one. A place that cannot be listed is polled again, after pauses that grow to five minutes.

    Args:
        uri: the place to watch, with placeholders.
        quiet_seconds: whatever has not changed for this long is complete.
        poll_seconds: seconds between polls.
        settle_seconds: seconds from an event to its entry in the state store.
    """

    def __init__(
        self,
        uri: str,
        quiet_seconds: float = 3.0,
        poll_seconds: float = 5.0,
        settle_seconds: float = _SETTLE_SECONDS,
    ) -> None:
        super().__init__()
        self.uri = uri
        self.quiet_seconds = quiet_seconds
        self.poll_seconds = poll_seconds
        self.settle_seconds = settle_seconds
        self._since: dict[int, tuple[str, float]] = {}
        self._is_dirty = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("uri", "quiet_seconds", "poll_seconds", "settle_seconds")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await self._load()
        pause = self.poll_seconds
        while True:
            try:
                event = await asyncio.to_thread(self._look)
                pause = self.poll_seconds
            except Exception as error:
                event, pause = None, min(2 * pause, _LONGEST_PAUSE_S)
                text = one_line(error, 300)
                self.log.warning("%s cannot be listed, looking again in %.0f s: %s", self.uri, pause, text)
            if event is not None:
                yield TriggerEvent(event)
                await asyncio.sleep(self.settle_seconds)
                await self._store()
            elif self._is_dirty:
                await self._store()
            self._is_dirty = False
            await asyncio.sleep(pause)

    @abstractmethod
    def _look(self) -> dict[str, Any] | None:
        """What is new and complete, which then counts as seen; None if nothing is."""

    @abstractmethod
    async def _load(self) -> None: ...

    @abstractmethod
    async def _store(self) -> None: ...

    def _is_quiet(self, key: int, sign: str) -> bool:
        """Whether a place has looked like this for long enough."""
        if self._since.get(key, ("", 0.0))[0] != sign:
            self._since[key] = (sign, time.monotonic())
        return time.monotonic() - self._since[key][1] >= self.quiet_seconds

    async def _recall(self, key: str) -> str:
        if self.asset_state_store is None:
            return ""
        return str(await self.asset_state_store.aget(key, default="") or "")

    async def _remember(self, key: str, value: str) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(key, value)


class SpanTrigger(_Watcher):
    """Fires once when new spans are complete, and when spans that training uses are replaced.

    A span that is gone is forgotten: when it lands again, it fires again. So does a new `{VERSION}` of a span. Whether the content
    of a replaced span has really changed is for the DAG to find out: this trigger looks at names, sizes and times.

    Args:
        window: how many of the newest spans are watched for changes in place; others do not affect training.
    """

    _seen: dict[int, int]
    _signs: dict[int, str]

    def __init__(
        self,
        uri: str,
        quiet_seconds: float = 3.0,
        poll_seconds: float = 5.0,
        settle_seconds: float = _SETTLE_SECONDS,
        window: int = 1,
    ) -> None:
        super().__init__(uri, quiet_seconds, poll_seconds, settle_seconds)
        self.window = window
        self._next_look_in_place = 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path, arguments = super().serialize()
        return path, arguments | {"window": self.window}

    def _look(self) -> dict[str, Any] | None:
        refresh(self.uri)
        known = locations(self.uri)
        gone = self._seen.keys() - known.keys()
        self._seen = {span: version for span, version in self._seen.items() if span not in gone}
        self._is_dirty = bool(gone)
        fresh = [
            span
            for span, place in known.items()
            if self._seen.get(span, -1) < place.version and self._is_whole(known, span)
        ]
        self._seen |= {span: known[span].version for span in fresh}
        replaced = self._replaced(known, fresh)
        if not fresh and not replaced:
            return None
        self._since.clear()
        spans = sorted({*fresh, *replaced})
        return {"spans": spans, "span": spans[-1], "uri": self.uri}

    def _replaced(self, known: Mapping[int, Location], fresh: Collection[int]) -> list[int]:
        """The spans that have settled with different files; spans seen for the first time are noted."""
        started = time.monotonic()
        if started < self._next_look_in_place and not fresh:
            return []
        watched = [span for span in sorted(known)[-self.window :] if span in self._seen]
        found = {span: fingerprint(known[span]) for span in watched}
        # A span may have very many files: listing them should take only a small part of the time.
        self._next_look_in_place = time.monotonic() + _REST_PER_LOOK * (time.monotonic() - started)
        replaced = [
            span
            for span, sign in found.items()
            if span not in fresh
            and self._signs.get(span, sign) != sign
            # `_SUCCESS` may be left over from before: only rest proves that the span is complete.
            and not unfinished(known, span)
            and self._is_quiet(span, sign)
        ]
        changing = {
            span: self._signs[span] for span in watched if span in self._signs and span not in (*fresh, *replaced)
        }
        signs = found | changing
        self._is_dirty = self._is_dirty or signs != self._signs
        self._signs = signs
        return replaced

    def _is_whole(self, known: Mapping[int, Location], span: int) -> bool:
        if unfinished(known, span):
            return False
        return is_marked(known[span]) or self._is_quiet(span, fingerprint(known[span]))

    async def _load(self) -> None:
        self._seen = decode_spans(await self._recall(SEEN))
        self._signs = decode_signs(await self._recall(SIGNS))

    async def _store(self) -> None:
        await self._remember(SEEN, encode_spans(self._seen))
        await self._remember(SIGNS, json.dumps(self._signs))


class FileTrigger(_Watcher):
    """Fires once for every change of a set of files, when it has settled. The DAG finds out which of them are new."""

    _listing: str

    def _look(self) -> dict[str, Any] | None:
        refresh(self.uri)
        sign = fingerprint(Location(0, 0, self.uri))
        if sign == self._listing or not self._is_quiet(0, sign):
            return None
        empty_before = not self._listing
        self._listing = sign
        return None if empty_before and sign == _NOTHING else {"uri": self.uri, "listing": sign}

    async def _load(self) -> None:
        self._listing = await self._recall(LISTING)

    async def _store(self) -> None:
        await self._remember(LISTING, self._listing)


_NOTHING = fingerprint(Location(0, 0, "/nonexistent/*"))


def encode_spans(spans: Mapping[int, int] | Iterable[int]) -> str:
    """Writes spans as ranges, so that years of daily spans stay one short value; versions, if any, follow a `v`.

    Example:
        >>> encode_spans({1, 2, 3, 7}), encode_spans({1: 0, 2: 0, 3: 4})
        ('1-3,7', '1-2,3v4')
    """
    versions = dict(spans) if isinstance(spans, Mapping) else dict.fromkeys(spans, 0)
    ranges: list[list[int]] = []
    for span in sorted(span for span, version in versions.items() if not version):
        if ranges and span == ranges[-1][1] + 1:
            ranges[-1][1] = span
        else:
            ranges.append([span, span])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    return ",".join([*texts, *(f"{span}v{version}" for span, version in sorted(versions.items()) if version)])


def decode_spans(text: str) -> dict[int, int]:
    """Reads what `encode_spans` wrote: span -> version, 0 if it has none."""
    spans: dict[int, int] = {}
    for part in filter(None, text.split(",")):
        number, _, version = part.partition("v")
        first, _, last = number.partition("-")
        spans |= dict.fromkeys(range(int(first), int(last or first) + 1), int(version or 0))
    return spans


def decode_signs(text: str) -> dict[int, str]:
    """Reads the fingerprints of spans from JSON; an empty text has none."""
    return {int(span): str(sign) for span, sign in json.loads(text or "{}").items()}
