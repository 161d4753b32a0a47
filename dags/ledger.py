"""Which spans a workload has been retrained on, and so which is next: decided by the disk and this ledger, never by events.

Airflow may merge or drop events (with one active run, the next gets one of two), a triggerer may be down, or a workload may
only have a clock. So each run looks for a span on disk that no run has claimed, and ends by starting another run if one is left.
The ledger is kept with the data's asset, in Airflow's database.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from dags.triggers import decode_spans, encode_spans
from landing import Location, content_digest, fingerprint, unfinished

HANDLED_BY = "handled_by_run_span_"
SINCE, TAKEN_ON = "trained_since_span", "spans_taken_on"
_LOOK_BACK = 10
"""How many of the newest spans are checked for a replacement of one that was refused."""


class Outcome(enum.StrEnum):
    TAKEN = "taken"  # a run is working on it, or ended without a verdict: somebody has to clear that run
    REFUSED = "refused"
    TRAINED = "trained"


class Store(Protocol):
    """Airflow's state of one asset."""

    def get(self, key: str) -> Any: ...

    def set(self, key: str, value: str) -> None: ...


class Ledger:
    """The ledger of one workload, as one run sees it.

    Args:
        store: where it is kept.
        known: the spans that exist.
        window: how many spans a training uses.
        run_id: of the run that asks; it may claim again what it has claimed before.
        definition: changes with the workload's code and contracts; a span that was refused may then pass.
    """

    def __init__(
        self, store: Store, known: Mapping[int, Location], window: int, run_id: str, definition: str = ""
    ) -> None:
        self._store, self._known, self._window = store, known, window
        self._run_id, self._definition = run_id, definition
        self._numbers = sorted(known)
        self._notes: dict[int, dict[str, str]] = {}

    def next(self, arrived: Iterable[int] = ()) -> int | None:
        """The span to train on next: the oldest that no run has claimed in its present state or, with a window, the newest span
        whose window still contains it. None if nothing is left, or if no run has claimed anything yet: the first training uses
        the newest span.

        Args:
            arrived: further spans to check, because an event named them.
        """
        since = self._store.get(SINCE)
        if since in (None, ""):
            return None
        if (mine := self._mine()) is not None:
            return mine
        taken_on = decode_spans(str(self._store.get(TAKEN_ON) or ""))
        newest = self._numbers[-self._window :]
        again = {*self._numbers[-max(self._window, _LOOK_BACK) :], *arrived}
        for place, span in enumerate(self._numbers):
            if span < int(since) and span not in newest:
                continue
            if span in taken_on and not (span in again and self._needs_another_run(span, in_window=span in newest)):
                continue
            if not unfinished(self._known, span):
                return self._covering(place)
        return None

    def take(self, span: int, *, begins: bool) -> None:
        """Notes that this run trains on a span and its window, in their present state.

        Args:
            begins: start the ledger with the first of them, if it has not been started.
        """
        window = self._window_of(span)
        if begins and self._store.get(SINCE) in (None, ""):
            self._store.set(SINCE, str(window[0]))
        for one in window:
            note = self.note(one)
            if not (note and note["outcome"] == Outcome.TRAINED and self._is_as_noted(one, note)):
                self._put(one, Outcome.TAKEN, self.sign(one), "")
        taken_on = decode_spans(str(self._store.get(TAKEN_ON) or ""))
        self._store.set(TAKEN_ON, encode_spans({*taken_on, *window}))

    def settle(self, span: int, outcome: Outcome) -> None:
        """Notes the outcome for a span in the state in which it was claimed: it may have been replaced since."""
        for one in self._window_of(span) if outcome is Outcome.TRAINED else [span]:
            note = self.note(one)
            sign = note.get("sign") or self.sign(one)
            content = content_digest(self._known[one]) if one in self._known and self.sign(one) == sign else ""
            self._put(one, outcome, sign, content)

    def handled(self, spans: Iterable[int]) -> dict[int, Outcome]:
        """The spans that another run claimed in their present state: clearing tasks trains again, a repeated event does not."""
        found = {}
        for span in spans:
            note = self.note(span)
            if note and note["run"] != self._run_id and self._is_as_noted(span, note):
                found[span] = Outcome(note["outcome"])
        return found

    def note(self, span: int) -> dict[str, str]:
        """The note about a span: `run`, `sign`, `content`, `outcome`, `definition`; empty if there is none."""
        if span not in self._notes:
            self._notes[span] = _read(self._store.get(f"{HANDLED_BY}{span}"))
        return self._notes[span]

    def sign(self, span: int) -> str:
        return fingerprint(self._known[span]) if span in self._known else ""

    def _mine(self) -> int | None:
        """The newest span that this run has claimed before: its tasks were cleared."""
        for span in reversed(self._numbers[-_LOOK_BACK:]):
            if self.note(span).get("run") == self._run_id:
                return span
        return None

    def _needs_another_run(self, span: int, *, in_window: bool) -> bool:
        note = self.note(span)
        if not note or note["run"] == self._run_id or (note["outcome"] == Outcome.TRAINED and not in_window):
            return False
        return not self._is_as_noted(span, note)

    def _is_as_noted(self, span: int, note: Mapping[str, str]) -> bool:
        if note["outcome"] == Outcome.REFUSED and note["definition"] != self._definition:
            return False
        if note["sign"] == self.sign(span):
            return True
        # Delivered again: different times, the same bytes.
        return bool(note["content"]) and span in self._known and note["content"] == content_digest(self._known[span])

    def _covering(self, place: int) -> int:
        """The newest complete span whose window still contains the one at this index."""
        for span in reversed(self._numbers[place : place + self._window]):
            if not unfinished(self._known, span):
                return span
        return self._numbers[place]

    def _window_of(self, span: int) -> list[int]:
        return [one for one in self._numbers if one <= span][-self._window :] or [span]

    def _put(self, span: int, outcome: Outcome, sign: str, content: str) -> None:
        note = {"run": self._run_id, "sign": sign, "content": content, "outcome": str(outcome)}
        self._notes[span] = note | {"definition": self._definition}
        self._store.set(f"{HANDLED_BY}{span}", json.dumps(self._notes[span]))


def _read(text: Any) -> dict[str, str]:
    """Parses a note; earlier versions noted only spans that were trained on."""
    try:
        note = json.loads(text)
        found = {key: str(note.get(key) or "") for key in ("run", "sign", "content", "definition")}
        return found | {"outcome": str(Outcome(note.get("outcome") or Outcome.TRAINED))} if found["sign"] else {}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
