"""What happened since a point in time, by workload: plain data for every channel to lay out."""

from __future__ import annotations

import dataclasses
import datetime

from components.formats import when
from components.report.site import page_url
from quality.history import History, Outcome, worst
from quality.reports.site_views import GRAVEST_FIRST, Entry, WorkloadView, overview_sentence, overview_views

FINDINGS = 3
_SPANS = 30


@dataclasses.dataclass(frozen=True)
class Finding:
    """One failed check: its severity, and its message with figures; masked values stay masked."""

    severity: str
    text: str


@dataclasses.dataclass(frozen=True)
class Item:
    """One validation of one workload's data.

    Attributes:
        label: what was validated, e.g. `span 12`.
        owner: who has to act.
        findings: the worst, gravest first.
        more: how many further checks do not pass.
        url: of its page; empty if TRAINYARD_REPORTS_URL is not set.
    """

    workload: str
    outcome: Outcome
    label: str
    at: str
    headline: str
    owner: str
    findings: tuple[Finding, ...]
    more: int
    url: str


@dataclasses.dataclass(frozen=True)
class Digest:
    """What a team reads in the morning.

    Attributes:
        title: the state of everything in one sentence.
        items: gravest first.
        quiet: workloads with nothing new, and when they were last validated.
    """

    title: str
    items: tuple[Item, ...]
    quiet: tuple[tuple[str, str], ...]

    @property
    def outcome(self) -> Outcome:
        """The gravest of the items' outcomes."""
        return min((item.outcome for item in self.items), key=GRAVEST_FIRST.index, default=Outcome.PASSED)


def digest(history: History, since: datetime.datetime) -> Digest:
    """The newest validations since a point in time: of every workload's data, and of the requests to its model.

    Args:
        since: with a time zone.
    """
    views = overview_views(history, _SPANS)
    items = [_item(history, view, entry) for view in views for entry in _new(view, since)]
    items.sort(key=lambda item: (GRAVEST_FIRST.index(item.outcome), item.workload))
    told = {item.workload for item in items}
    quiet = [(view.name, when(view.newest.validation.created_at)) for view in views if view.name not in told]
    return Digest(overview_sentence([v for v in views if v.name in told] or views), tuple(items), tuple(quiet))


def _new(view: WorkloadView, since: datetime.datetime) -> list[Entry]:
    """What is new: the newest data, earlier spans that failed, and requests that differ."""
    entries = {e.validation.id: e for e in view.now if e is view.newest or e.validation.outcome is not Outcome.PASSED}
    entries |= {e.validation.id: e for e in view.spans if e.validation.outcome is Outcome.FAILED}
    return [e for e in entries.values() if _moment(e.validation.created_at) >= since]


def _moment(iso: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(iso)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _item(history: History, view: WorkloadView, entry: Entry) -> Item:
    one = history.load(entry.validation.id) or entry.validation
    failed = [check for check in one.checks if not check.passes]
    shown = worst(failed, FINDINGS)
    return Item(
        workload=view.name,
        outcome=one.outcome,
        label=entry.label,
        at=when(one.created_at),
        headline=one.headline,
        owner=one.owner,
        findings=tuple(
            Finding(f"{c.severity}, waived" if c.waiver else c.severity if c.judged else "not judged", c.words)
            for c in shown
        ),
        more=len(failed) - len(shown),
        url=page_url(view.name, one.id),
    )
