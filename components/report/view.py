"""Turns facts into the rows and figures that the templates lay out. No markup is written here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.formats import count, duration, figure, is_number, plural, shorten, signed
from components.gates import CheckResult, GateResult, Severity
from components.report.facts import FAILED, RunFacts

_SAMPLE_ROWS = 10
_SAMPLE_COLUMNS = 12


@dataclasses.dataclass(frozen=True)
class KeyFigure:
    name: str
    value: str
    note: str = ""


def key_figures(facts: RunFacts) -> tuple[KeyFigure, ...]:
    """The five or six figures that most readers come for."""
    figures = []
    metrics = facts.metrics or {}
    value = (metrics.get("overall") or {}).get(facts.primary.name)
    if is_number(value):
        figures.append(KeyFigure(facts.primary.title, figure(value), "on the test split"))
    comparison = metrics.get("champion") or {}
    if is_number(comparison.get("difference")):
        note = f"champion has {figure(comparison.get('champion_value'))}"
        figures.append(
            KeyFigure(f"Against version {comparison.get('version')}", signed(comparison["difference"]), note)
        )
    if facts.dataset:
        parts = ", ".join(f"{split} {count(rows)}" for split, rows in facts.dataset.rows.items())
        figures.append(KeyFigure("Rows", count(sum(facts.dataset.rows.values())), parts))
    checks = [check for gate in facts.gates.values() for check in gate.checks]
    if checks:
        notes = tally(GateResult("all", tuple(checks)))
        figures.append(KeyFigure("Checks", count(len(checks)), ", ".join(notes) or "all passed"))
    if is_number((facts.training or {}).get("parameters")):
        best = (facts.training or {}).get("best_epoch")
        epochs = len((facts.training or {}).get("epochs") or ())
        note = f"epoch {best} of {epochs} kept" if is_number(best) else plural(epochs, "epoch")
        figures.append(KeyFigure("Parameters", count((facts.training or {})["parameters"]), note))
    seconds = [c.seconds for c in facts.components if c.seconds is not None]
    if seconds:
        figures.append(KeyFigure("Time", duration(sum(seconds)), plural(len(seconds), "component")))
    return tuple(figures)


@dataclasses.dataclass(frozen=True)
class CheckView:
    """One check as the gate table shows it: sample is a small table of evidence, details are the other figures."""

    name: str
    message: str
    state: str
    word: str
    details: tuple[tuple[str, str], ...]
    sample_columns: tuple[str, ...]
    sample: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class GateView:
    summary: str
    objections: tuple[CheckView, ...]
    passed: tuple[CheckView, ...]


def tally(gate: GateResult) -> list[str]:
    """What of a gate's checks does not pass, in words: `2 failed`, `1 warning`, `3 not judged`."""
    many = gate.counts()
    parts = [f"{many['failed']} failed"] if many["failed"] else []
    parts += [plural(many["warnings"], "warning")] if many["warnings"] else []
    return parts + ([f"{many['not_judged']} not judged"] if many["not_judged"] else [])


_WORDS = {Severity.CRITICAL: ("bad", "Failed"), Severity.WARNING: ("warn", "Warning"), Severity.INFO: ("idle", "Note")}
_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def gate_view(gate: GateResult) -> GateView:
    """Failed checks first, the gravest of them at the top, then those that were not judged."""
    objections = sorted(gate.objections(), key=lambda check: (not check.judged, _RANK[check.severity]))
    passed = [check for check in gate.checks if check.passes]
    summary = f"{len(passed)} of {plural(len(gate.checks), 'check')} passed"
    return GateView(summary, tuple(map(_check_view, objections)), tuple(map(_check_view, passed)))


# The check's name, badge and message say these already.
_TOLD_ELSEWHERE = frozenset(
    {"column", "columns", "expectation", "suite_severity", "partial_unexpected_counts", "notes", "error"}
    | {"kind", "slice", "reference", "measures", "limits", "severity", "message"}  # of a drift
)
_NAMES = {"kwargs": "asks for", "element_count": "rows", "unexpected_percent": "unexpected %"}


def _check_view(check: CheckResult) -> CheckView:
    state, word = ("good", "Passed") if check.passes else _WORDS[check.severity]
    word = word if check.judged else "Not judged"
    diagnostics = dict(check.diagnostics or {})
    sample: list[Any] = next(
        (diagnostics.pop(key) for key in ("sample", "rows", "examples") if isinstance(diagnostics.get(key), list)), []
    )
    columns, rows = _sample_table(sample)
    details = tuple(
        (_NAMES.get(key, key.replace("_", " ")), shorten(_plain(value), 300))
        for key, value in diagnostics.items()
        if key not in _TOLD_ELSEWHERE and value not in (None, "", [], {})
    )
    return CheckView(check.name, check.message, state, word, details, columns, rows)


def _sample_table(sample: Sequence[Any]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    rows = sample[:_SAMPLE_ROWS]
    if rows and all(isinstance(row, Mapping) for row in rows):
        columns = tuple(dict.fromkeys(str(key) for row in rows for key in row))[:_SAMPLE_COLUMNS]
        return columns, tuple(tuple(shorten(_plain(row.get(c, "")), 80) for c in columns) for row in rows)
    return (), tuple((shorten(_plain(value), 80),) for value in rows)


def _plain(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−") if is_number(value) else str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False, default=str)


@dataclasses.dataclass(frozen=True)
class TimingRow:
    id: str
    word: str
    state: str
    seconds: str
    share: float
    rows_in: str
    rows_out: str


def timing_rows(facts: RunFacts) -> tuple[TimingRow, ...]:
    """Components in pipeline order; bars relative to the longest."""
    longest = max((c.seconds or 0.0 for c in facts.components), default=0.0) or 1.0
    rows = []
    for component in facts.components:
        state, word = ("bad", "failed") if component.status == FAILED else ("", component.status)
        word = "from cache" if component.cached else "not reached" if word in ("waiting", "pending") else word
        share = (component.seconds or 0.0) / longest
        rows.append(
            TimingRow(
                component.id,
                word,
                state,
                duration(component.seconds),
                share,
                count(component.rows_in),
                count(component.rows_out),
            )
        )
    return tuple(rows)
