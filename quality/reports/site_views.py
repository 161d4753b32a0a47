"""The templates' data, without any markup."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from components.formats import plural
from components.gates import CheckResult, GateResult, Severity, Verdict
from quality.history import (
    LIVE,
    LIVE_GATE,
    OF_MODELS,
    SERVING,
    Change,
    Check,
    Column,
    History,
    Outcome,
    Release,
    Validation,
)
from spec import graph
from spec.words import some_of

STATES = {Outcome.PASSED: "good", Outcome.WARNED: "warn", Outcome.FAILED: "bad"}
WORDS = {Outcome.PASSED: "Trusted", Outcome.WARNED: "Look at it", Outcome.FAILED: "Stopped"}
SERVING_WORDS = {Outcome.PASSED: "Alike", Outcome.WARNED: "Differs", Outcome.FAILED: "Differs too much"}
"""For requests to a model, which are never stopped."""
LIVE_WORDS = {Outcome.PASSED: "No bound broken", Outcome.WARNED: "Look at it", Outcome.FAILED: "Breaks a bound"}
"""For how well a model answered them. A bound that was not judged is not broken either; the sentence beside it says so."""
GRAVEST_FIRST = (Outcome.FAILED, Outcome.WARNED, Outcome.PASSED)
DOCUMENTS = {"data_docs": "Great Expectations' own page", "report": "The report of the training run"}
MEASURES = {
    "psi": "PSI",
    "kolmogorov_smirnov": "Kolmogorov–Smirnov",
    "jensen_shannon": "Jensen–Shannon",
    "l_infinity": "L-infinity",
}
KINDS = {
    "drift": "Drift between spans",
    "skew": "Skew between training and serving",
    "label_shift": "Shift of the label",
    "prediction_drift": "Drift of the predictions",
}
_MODELS_GATES = {"SkewDetector": KINDS["skew"], LIVE_GATE: "How well it answers, by labels that came later"}
"""Titles of the gates that are no node of the graph."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One validation in a list or a strip.

    Attributes:
        label: what it is called, e.g. `span 12`.
        newest: whether it is the newest validation of its span.
    """

    validation: Validation
    label: str
    failed: int = 0
    warned: int = 0
    unjudged: int = 0
    newest: bool = True

    @property
    def is_of_model(self) -> bool:
        """Whether it says something of a model in use, and nothing of the workload's data."""
        return self.validation.source in OF_MODELS

    @property
    def state(self) -> str:
        return STATES[self.validation.outcome]

    @property
    def question(self) -> str:
        """What it answers about a model in use, for a link."""
        return "How well the model answered" if self.validation.source == LIVE else "What the model was asked"

    @property
    def word(self) -> str:
        words = {SERVING: SERVING_WORDS, LIVE: LIVE_WORDS}.get(self.validation.source, WORDS)
        return words[self.validation.outcome]


@dataclasses.dataclass(frozen=True)
class WorkloadView:
    """Everything that the pages of one workload show.

    Attributes:
        entries: newest first.
        releases: oldest first.
        series: column -> validation id -> the column then.
        changes: column -> validation id -> its changes then.
        live: validation id -> the figures of each version then, of those of how well the model answered.
        in_use: the newest of what is said of the model in use: what it is asked, how well it answers.
    """

    name: str
    entries: tuple[Entry, ...]
    releases: tuple[Release, ...]
    series: Mapping[str, Mapping[str, Column]]
    changes: Mapping[str, Mapping[str, Sequence[Change]]]
    in_use: tuple[Entry, ...] = ()
    live: Mapping[str, Sequence[Mapping[str, Any]]] = dataclasses.field(default_factory=dict)

    @property
    def newest(self) -> Entry:
        """The newest entry of the data; of the model in use, if there is no other."""
        return next(iter(self.spans), self.entries[0])

    @property
    def now(self) -> tuple[Entry, ...]:
        """The current state: the newest data, and the model in use."""
        return (self.newest, *(one for one in self.in_use if one != self.newest))

    @property
    def outcome(self) -> Outcome:
        """The gravest of `now`."""
        return min((entry.validation.outcome for entry in self.now), key=GRAVEST_FIRST.index)

    @functools.cached_property
    def spans(self) -> tuple[Entry, ...]:
        """The newest validation of each span, the last span first, whenever it was validated."""
        found = [entry for entry in self.entries if entry.newest and not entry.is_of_model]
        return tuple(sorted(found, key=_span, reverse=True))

    def columns(self) -> list[str]:
        """Column names: those that changed too much in the newest validation first, then in the data's order, answers last."""
        now = self.newest.validation.id

        def rank(name: str) -> tuple[bool, bool]:
            exceeded = any(change.exceeded for change in self.changes.get(name, {}).get(now, ()))
            return (not exceeded, now not in self.series[name])

        return sorted(self.series, key=rank)


def workload_view(history: History, name: str, columns: bool = True) -> WorkloadView:
    """Reads what the pages of a workload need: validations without their parts, columns without histograms.

    Args:
        columns: whether to read columns and their changes, which the overview does not need.
    """
    validations = history.validations(name)
    entries = _entries(validations, history.failures([one.id for one in validations]))
    series: dict[str, dict[str, Column]] = {}
    for validation_id, column in history.columns_over_time(name) if columns else ():
        series.setdefault(column.name, {})[validation_id] = column
    changes: dict[str, dict[str, list[Change]]] = {}
    for validation_id, change in history.changes_over_time(name) if columns else ():
        changes.setdefault(change.column, {}).setdefault(validation_id, []).append(change)
    live: dict[str, list[Mapping[str, Any]]] = {}
    for validation_id, check in history.checks_over_time(name, LIVE_GATE) if columns else ():
        if "metrics" in check.evidence:
            live.setdefault(validation_id, []).append(check.evidence)
    in_use = [next((one for one in entries if one.validation.source == source), None) for source in OF_MODELS]
    return WorkloadView(
        name, entries, tuple(history.releases(name)), series, changes, tuple(one for one in in_use if one), live
    )


def overview_views(history: History, spans: int) -> list[WorkloadView]:
    """All workloads, sorted by name, with only their last spans: what the overview shows."""
    in_use: dict[str, list[Validation]] = {}
    for one in history.newest_of_models():
        in_use.setdefault(one.workload, []).append(one)
    found: dict[str, list[Validation]] = {name: [] for name in in_use}
    for one in history.newest_of_spans(spans):
        found.setdefault(one.workload, []).append(one)
    failures = history.failures([one.id for of_one in (*found.values(), *in_use.values()) for one in of_one])
    views = []
    for name in sorted(found):
        used = _entries(in_use.get(name, ()), failures)
        views.append(WorkloadView(name, _entries(found[name], failures) or used, (), {}, {}, used))
    return views


def _entries(validations: Sequence[Validation], failures: Mapping[str, Mapping[str, int]]) -> tuple[Entry, ...]:
    """Entries of one workload's validations, newest first."""
    entries, seen = [], set()
    for one in validations:
        counts = failures.get(one.id, {})
        key = (one.source in OF_MODELS, one.span if one.span is not None else one.id)
        failed, warned, unjudged = (counts.get(which, 0) for which in ("critical", "warning", str(Verdict.NOT_JUDGED)))
        entries.append(Entry(one, label(one), failed, warned, unjudged, key not in seen))
        seen.add(key)
    return tuple(entries)


def _span(entry: Entry) -> tuple[int, str]:
    """Sort key: spans by number, data without spans by time."""
    one = entry.validation
    return -1 if one.span is None else one.span, one.created_at


def label(validation: Validation) -> str:
    """`span 12`; the day for data without spans; `requests until 2026-05-03` for a model in use."""
    if validation.source == SERVING:
        return f"requests until {validation.created_at[:10]}"
    if validation.source == LIVE:
        return f"answers until {validation.created_at[:10]}"
    return f"span {validation.span}" if validation.span is not None else validation.created_at[:10]


def gates(validation: Validation) -> list[tuple[str, GateResult]]:
    """The checks of a validation by gate, as the gates' own type; what failed worst first."""
    found: dict[str, list[CheckResult]] = {}
    for check in validation.checks:
        found.setdefault(check.gate, []).append(_result(check))
    order = {record.id: place for place, record in enumerate(graph.data_gates())}
    results = [GateResult(name, tuple(checks)) for name, checks in found.items()]
    results.sort(key=lambda gate: (_gravity(gate), order.get(gate.gate, len(order))))
    return [(_MODELS_GATES.get(gate.gate) or graph.title(gate.gate), gate) for gate in results]


def beyond_changes(gates: Sequence[tuple[str, GateResult]]) -> list[tuple[str, GateResult]]:
    """Drops comparisons that hold, which the table of changes shows, and gates that are empty without them."""
    kept = []
    for name, gate in gates:
        checks = tuple(c for c in gate.checks if not (c.passes and (c.diagnostics or {}).get("measures")))
        if checks:
            kept.append((name, GateResult(gate.gate, checks)))
    return kept


def _gravity(gate: GateResult) -> int:
    """0 if something critical does not pass, 1 for a warning, 2 if all is well."""
    severities = {check.severity for check in gate.objections()}
    return 0 if Severity.CRITICAL in severities else 1 if Severity.WARNING in severities else 2


@dataclasses.dataclass(frozen=True)
class Tally:
    """How many of a gate's checks hold, for the top of a page."""

    gate: str
    name: str
    anchor: str
    state: str
    words: str


def tallies(gates: Sequence[tuple[str, GateResult]]) -> list[Tally]:
    """One tally per gate, in order."""
    found, shown = [], beyond_changes(gates)
    for place, (name, gate) in enumerate(gates, 1):
        many = gate.counts()
        words = f"{many['passed']:,} of {many['checks']:,} hold"
        words += f", {many['not_judged']:,} not judged" if many["not_judged"] else ""
        anchor = f"gate-{place}" if any(one.gate == gate.gate for _, one in shown) else "change"
        found.append(Tally(gate.gate, name, anchor, ("bad", "warn", "good")[_gravity(gate)], words))
    return found


def _result(check: Check) -> CheckResult:
    evidence, message = dict(check.evidence), check.message
    severity = Severity(check.severity)
    if check.waiver and not check.passes:
        severity, message = Severity.INFO, f"{message} Waived: {check.waiver}."
    return CheckResult(check.name, check.passes, severity, message, evidence, check.judged)


@dataclasses.dataclass(frozen=True)
class ChangeView:
    """One column's changes against one reference: measure -> change."""

    kind: str
    column: str
    slice: str
    reference: str
    measures: Mapping[str, Change]

    @property
    def exceeded(self) -> bool:
        return any(change.exceeded for change in self.measures.values())


def change_rows(changes: Sequence[Change]) -> list[ChangeView]:
    """A row per kind, column, slice and reference; what exceeds its limit first, then the largest."""
    rows: dict[tuple[str, str, str, str], dict[str, Change]] = {}
    for change in changes:
        rows.setdefault((change.kind, change.column, change.slice, change.reference), {})[change.measure] = change
    views = [ChangeView(*key, measures) for key, measures in rows.items()]
    return sorted(views, key=lambda v: (not v.exceeded, -max(change.value for change in v.measures.values())))


def overview_sentence(views: Sequence[WorkloadView]) -> str:
    """The state of all workloads in one sentence."""
    if not views:
        return "No data has been validated yet."
    stopped = [view.name for view in views if view.outcome is Outcome.FAILED]
    warned = [view.name for view in views if view.outcome is Outcome.WARNED]
    if not stopped and not warned:
        return (
            f"The newest data of all {plural(len(views), 'workload')} can be trusted."
            if len(views) > 1
            else (f"The newest data of {views[0].name} can be trusted.")
        )
    fine = len(views) - len(stopped) - len(warned)
    parts = [f"Stopped: {some_of(stopped, 4)}"] if stopped else []
    parts += [f"{'look' if stopped else 'Look'} at {some_of(warned, 4)}"] if warned else []
    parts += [f"{fine} can be trusted"] if fine else []
    return f"{'; '.join(parts)}."
