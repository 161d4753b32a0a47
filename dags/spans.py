"""Which span a run works on, and whether it is complete."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.sdk import Asset, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException

from dags.assets import span_pattern
from dags.ledger import Ledger, Outcome
from dags.skips import skipped
from dags.triggers import encode_spans
from landing import (
    MOST_SPAN_DIGITS,
    Location,
    day_of,
    fingerprint,
    has_spans,
    is_by_date,
    is_marked,
    locations,
    newest_finished,
    span_of_day,
    unfinished,
    unread_folders,
)
from spec import home
from spec.workload import Workload

NEXT = "next__"
"""Prefix of the ids of runs that an earlier run started, because it found more to train on."""
MOST_SPANS = 1000
"""In one backfill."""

log = logging.getLogger(__name__)


def find_span(workload: Workload, data: Asset, context: Mapping[str, Any]) -> PokeReturnValue:
    """Looks once for the span to train on; the sensor repeats it until the span is complete.

    Raises:
        AirflowFailException: the span parameter cannot be read.
        AirflowSkipException: there is nothing to train.
    """
    uri = span_pattern(workload)
    asked = parse_span((context.get("params") or {}).get("span"), uri)
    if not has_spans(uri):
        return PokeReturnValue(True, None)
    known = locations(uri)
    arrived = arrived_spans(context.get("triggering_asset_events") or {})
    ledger = ledger_of(workload, data, context, known)
    span = asked if asked is not None else _next_span(ledger, arrived, known, workload.data.window, context)
    if span is None or span not in known:
        return PokeReturnValue(True, span)  # the pipeline prepares it from the data set, or says that it does not exist
    if sign := being_written(known, span, 0 if arrived else workload.schedule.quiet_seconds):
        log.info("Waiting: %s is still being written: %s", in_words(span, uri), sign)
        return PokeReturnValue(False)
    if ledger is not None:
        ledger.take(span, begins=asked is None)
    _tell(workload, known[span], arrived)
    return PokeReturnValue(True, span)


def ledger_of(
    workload: Workload,
    data: Asset,
    context: Mapping[str, Any],
    known: Mapping[int, Location],
    run_id: str | None = None,
) -> Ledger | None:
    """The ledger of a workload's spans; None if Airflow keeps no state.

    Args:
        run_id: of the run that asks; None: the current one.
    """
    stores = context.get("asset_state_store")
    if stores is None:
        return None
    folders = (home.workloads_root() / workload.name, home.schemas_root() / workload.name)
    definition = "-".join(fingerprint(Location(0, 0, f"{folder}/*")) for folder in folders)
    run = str(context["run_id"]) if run_id is None else run_id
    return Ledger(stores[data], known, workload.data.window, run, definition)


def _next_span(
    ledger: Ledger | None, arrived: set[int], known: Mapping[int, Location], window: int, context: Mapping[str, Any]
) -> int | None:
    if ledger is not None and (span := ledger.next(arrived)) is not None:
        return span
    if str(context.get("run_id")).startswith(NEXT):
        raise skipped("nothing is left that was not trained on")
    span = choose_span(None, arrived, ledger.handled(arrived) if ledger else {}, known, window)
    by_hand = getattr(context.get("dag_run"), "run_type", "") == "manual"
    if span is not None and ledger is not None and not by_hand and ledger.handled([span]).get(span) is Outcome.REFUSED:
        raise skipped(f"span {span} was refused by run {ledger.note(span)['run']}, and is still the same")
    return span


def parse_span(asked: Any, uri: str) -> int | None:
    """The run's `span` parameter: a number, or a day where spans are days.

    Example:
        >>> parse_span("2026-01-01", "/data/{YYYY}/{MM}/{DD}/*"), parse_span("7", "/data/span-{SPAN}/*")
        (20454, 7)
    """
    text = "" if asked is None else str(asked).strip()
    if not text:
        return None
    if text.isdecimal():
        if len(text) > MOST_SPAN_DIGITS or (is_by_date(uri) and int(text) > span_of_day(datetime.date.max)):
            raise AirflowFailException(f"span: {text[:80]} is beyond any that can be. Received: {len(text)} digits.")
        return int(text)
    if is_by_date(uri):
        try:
            return span_of_day(datetime.date.fromisoformat(text))
        except ValueError:
            pass
    wanted = "a number or a day such as 2026-01-31" if is_by_date(uri) else "a number"
    raise AirflowFailException(f"span must be {wanted}. Received: {asked!r}.")


def parse_spans(text: str, uri: str) -> list[int]:
    """Several spans, oldest first: `3`, `3-7`, `1,4-6`; of days `2026-01-01..2026-01-07`.

    Example:
        >>> parse_spans("5, 1-3", "/data/span-{SPAN}/*")
        [1, 2, 3, 5]
    """
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, separator, last = part.partition("..") if is_by_date(uri) else part.partition("-")
        begin = parse_span(first, uri)
        end = parse_span(last, uri) if separator else begin
        if begin is None or end is None or end < begin:
            raise AirflowFailException(f"spans: {part!r} is no range; the older comes first, e.g. 3-7.")
        # Checked before the range is built: `1-20261128` would be two gigabytes of numbers.
        if end - begin >= MOST_SPANS or len(found) >= MOST_SPANS:
            raise AirflowFailException(
                f"spans: {part!r} makes more than {MOST_SPANS} spans; that is the most for one run."
            )
        found.update(range(begin, end + 1))
    if not found:
        raise AirflowFailException("spans: name at least one, e.g. 3-7.")
    return sorted(found)


def arrived_spans(triggering: Mapping[Any, Iterable[Any]]) -> set[int]:
    """The spans named by this run's asset events; a watcher's event has them in its payload."""
    spans: set[int] = set()
    for events in triggering.values():
        for event in events:
            extra = event.extra if isinstance(event.extra, dict) else {}
            payload = extra.get("payload", extra)
            spans |= _spans_of(payload)
    return spans


def _spans_of(payload: Any) -> set[int]:
    """The spans named by one event. Anyone may send events: whatever is not a span's number is logged and ignored."""
    said = payload.get("spans") if isinstance(payload, dict) else None
    listed = said if isinstance(said, list | tuple) else [] if said is None else [said]
    texts = [str(one).strip() for one in listed if not isinstance(one, bool)]
    good = {text for text in texts if text.isdecimal() and len(text) <= MOST_SPAN_DIGITS}
    if odd := [one for one in listed if str(one).strip() not in good]:
        log.warning(
            "An asset event says spans that are none, and they are passed over: %.200r. Expected {'spans': [3]}.", odd
        )
    return {int(text) for text in good}


def choose_span(
    asked: int | None, arrived: set[int], handled: Mapping[int, Outcome], known: Mapping[int, Location], window: int
) -> int | None:
    """The span to train on when the ledger has none left: the one asked for, else the newest that arrived or is complete.

    Returns:
        None if nothing has landed: the pipeline then decides.

    Raises:
        AirflowSkipException: the data that triggered this run would not change the training.
    """
    if asked is not None:
        return asked
    whole = newest_finished(known)
    newest = max(arrived | ({whole} if whole is not None else set()), default=None)
    if arrived and newest is not None:
        if arrived <= set(handled):
            how = _HANDLED[min(handled[span] for span in arrived)]
            raise skipped(f"span {encode_spans(arrived)} {how}")
        looked_at = sorted(span for span in {*known, newest} if span <= newest)[-window:]
        if not arrived & set(looked_at):
            raise skipped(
                f"span {encode_spans(arrived)} arrived late: the newest is {newest}, training looks at {window} span(s), and "
                "the first that was trained on is newer. To train on it all the same, start the DAG backfill."
            )
    return newest


_HANDLED = {
    Outcome.TRAINED: "was trained on before; nothing is new",
    Outcome.REFUSED: "was refused before, and is still the same",
    Outcome.TAKEN: "is taken on by another run: clear that one if it has failed",
}


def being_written(known: Mapping[int, Location], span: int, quiet_seconds: float) -> str:
    """Why a span seems incomplete; empty if it does not. A span without a marker is checked twice, `quiet_seconds` apart."""
    if sign := unfinished(known, span):
        return sign
    if quiet_seconds and not is_marked(known[span]):
        before = fingerprint(known[span])
        time.sleep(min(quiet_seconds, 60))
        if fingerprint(known[span]) != before:
            return f"files of {known[span].uri} have changed within {min(quiet_seconds, 60):.0f} s"
    return ""


def settle(
    workload: Workload, data: Asset, context: Mapping[str, Any], span: int | None, outcome: Outcome = Outcome.TRAINED
) -> None:
    """Notes the outcome for the span that this run has claimed: in this state, it is done."""
    uri = span_pattern(workload)
    known = locations(uri) if has_spans(uri) else {}
    if span in known and (ledger := ledger_of(workload, data, context, known)) is not None:
        ledger.settle(span, outcome)


def in_words(span: int, uri: str) -> str:
    return f"span {span} ({day_of(span)})" if is_by_date(uri) else f"span {span}"


def _tell(workload: Workload, place: Location, arrived: set[int]) -> None:
    uri = span_pattern(workload)
    log.info("Training on %s, and a window of %d: %s", in_words(place.span, uri), workload.data.window, place.uri)
    if folders := unread_folders(place):
        log.warning("Not read, since %s names files: the folder(s) %s", place.uri, ", ".join(folders[:5]))
    if others := arrived - {place.span}:
        log.info("Arrived with it, and trained on in turn if it was not yet: span %s.", encode_spans(others))
