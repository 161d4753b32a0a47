"""Turns facts into the rows and figures that the templates lay out. No markup is written here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.gates import CheckResult, GateResult, Severity
from components.report.facts import FAILED, RunFacts
from components.report.formats import (
    LOWER_IS_BETTER,
    count,
    duration,
    figure,
    is_number,
    metric_name,
    plural,
    primary_metric,
    shorten,
    signed,
)

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
    metric = primary_metric(facts.workload, metrics)
    if is_number((metrics.get("overall") or {}).get(metric)):
        figures.append(KeyFigure(metric_name(metric), figure(metrics["overall"][metric]), "on the eval split"))
    comparison = metrics.get("champion") or {}
    if is_number(comparison.get("difference")):
        note = f"champion has {figure(comparison.get('champion_value'))}"
        figures.append(KeyFigure(f"Against version {comparison.get('version')}", signed(comparison["difference"]), note))
    if facts.dataset:
        parts = ", ".join(f"{split} {count(rows)}" for split, rows in facts.dataset.rows.items())
        figures.append(KeyFigure("Rows", count(sum(facts.dataset.rows.values())), parts))
    checks = [check for gate in facts.gates.values() for check in gate.checks]
    if checks:
        failed = sum(not c.passes and c.severity is Severity.CRITICAL for c in checks)
        warned = sum(not c.passes and c.severity is Severity.WARNING for c in checks)
        notes = [f"{failed} failed"] * bool(failed) + [plural(warned, "warning")] * bool(warned)
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
    failed: tuple[CheckView, ...]
    passed: tuple[CheckView, ...]


_WORDS = {Severity.CRITICAL: ("bad", "Failed"), Severity.WARNING: ("warn", "Warning"), Severity.INFO: ("idle", "Note")}
_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def gate_view(gate: GateResult) -> GateView:
    """Failed checks first, the gravest of them at the top."""
    failed = sorted(gate.failures(), key=lambda check: _RANK[check.severity])
    passed = [check for check in gate.checks if check.passes]
    summary = f"{len(passed)} of {plural(len(gate.checks), 'check')} passed"
    return GateView(summary, tuple(map(_check_view, failed)), tuple(map(_check_view, passed)))


def _check_view(check: CheckResult) -> CheckView:
    state, word = ("good", "Passed") if check.passes else _WORDS[check.severity]
    diagnostics = dict(check.diagnostics or {})
    sample = next((diagnostics.pop(key) for key in ("sample", "rows", "examples") if isinstance(diagnostics.get(key), list)), [])
    columns, rows = _sample_table(sample)
    details = tuple(
        (key.replace("_", " "), shorten(_plain(value), 400)) for key, value in diagnostics.items() if value not in (None, "", [], {})
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
    return json.dumps(value, ensure_ascii=False, default=str)


@dataclasses.dataclass(frozen=True)
class MetricRow:
    name: str
    value: str
    champion: str
    bound: str
    state: str
    word: str
    primary: bool


def metric_rows(facts: RunFacts) -> tuple[MetricRow, ...]:
    """Every overall metric with its bound and the champion's value; the one that is compared stands first."""
    metrics = facts.metrics or {}
    primary = primary_metric(facts.workload, metrics)
    overall: Mapping[str, Any] = metrics.get("overall") or {}
    champion = (metrics.get("champion") or {}).get("overall") or {}
    rows = []
    for metric, value in sorted(overall.items(), key=lambda item: item[0] != primary):
        bounds = [t for t in thresholds(facts) if t.get("metric") == metric and not t.get("slice")]
        held = all(_holds(t, value) for t in bounds)
        state, word = ("", "") if not bounds else ("good", "Held") if held else ("bad", "Missed")
        bound = ", ".join(_bound(t) for t in bounds)
        rows.append(MetricRow(metric_name(metric), figure(value), figure(champion.get(metric)), bound, state, word, metric == primary))
    return tuple(rows)


def thresholds(facts: RunFacts) -> list[Mapping[str, Any]]:
    return list((facts.workload.get("evaluation") or {}).get("thresholds") or ())


def _holds(threshold: Mapping[str, Any], value: Any) -> bool:
    if not is_number(value):
        return False
    low, high = threshold.get("min"), threshold.get("max")
    return (low is None or value >= low) and (high is None or value <= high)


def _bound(threshold: Mapping[str, Any]) -> str:
    low, high = threshold.get("min"), threshold.get("max")
    parts = [f"≥ {low:g}"] if is_number(low) else []
    parts += [f"≤ {high:g}"] if is_number(high) else []
    return " and ".join(parts)


@dataclasses.dataclass(frozen=True)
class SliceRow:
    value: str
    rows: str
    primary: float | None
    others: tuple[str, ...]
    bound: float | None
    state: str
    word: str


@dataclasses.dataclass(frozen=True)
class SliceGroup:
    """All slices of one column, on one scale."""

    column: str
    low: float
    high: float
    rows: tuple[SliceRow, ...]
    hidden: int

    @property
    def judged(self) -> bool:
        """Whether any of the slices has a bound to keep."""
        return any(row.word for row in self.rows)


def slice_groups(facts: RunFacts, limit: int = 40) -> tuple[tuple[str, ...], tuple[SliceGroup, ...]]:
    """The other metrics' keys (table heads), and the slices by column, weakest first."""
    metrics = facts.metrics or {}
    primary = primary_metric(facts.workload, metrics)
    others = tuple(metric for metric in (metrics.get("overall") or {}) if metric != primary)[:4]
    by_column: dict[str, list[Mapping[str, Any]]] = {}
    for one in metrics.get("slices") or ():
        by_column.setdefault(str(one.get("column")), []).append(one)
    overall = (metrics.get("overall") or {}).get(primary)
    groups = []
    for column, slices in by_column.items():
        values = [one["metrics"][primary] for one in slices if is_number((one.get("metrics") or {}).get(primary))]
        values += [overall] if is_number(overall) else []
        bounds = [t for t in thresholds(facts) if t.get("slice") == column and t.get("metric") == primary]
        values += [t[k] for t in bounds for k in ("min", "max") if is_number(t.get(k))]
        ordered = sorted(slices, key=lambda one: _weakness(one, primary))
        rows = tuple(_slice_row(facts, one, primary, others, bounds) for one in ordered[:limit])
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        groups.append(SliceGroup(column, low, high, rows, max(0, len(slices) - limit)))
    return others, tuple(groups)


def _weakness(one: Mapping[str, Any], metric: str) -> float:
    value = (one.get("metrics") or {}).get(metric)
    if not is_number(value):
        return float("inf")
    return -float(value) if metric in LOWER_IS_BETTER else float(value)


def _slice_row(
    facts: RunFacts, one: Mapping[str, Any], primary: str, others: Sequence[str], bounds: Sequence[Mapping[str, Any]]
) -> SliceRow:
    metrics, rows = one.get("metrics") or {}, one.get("rows")
    value = metrics.get(primary)
    judged = [t for t in thresholds(facts) if t.get("slice") == one.get("column")]
    judged = [t for t in judged if not is_number(rows) or rows >= t.get("min_rows", 0)]
    held = all(_holds(t, metrics.get(t.get("metric"))) for t in judged)
    state, word = ("", "") if not judged else ("good", "Held") if held else ("bad", "Missed")
    limit = next((t[k] for t in bounds for k in ("min", "max") if is_number(t.get(k))), None)
    name = "(missing)" if one.get("value") in (None, "") else shorten(one.get("value"), 48)
    return SliceRow(
        name, count(rows), value if is_number(value) else None, tuple(figure(metrics.get(m)) for m in others), limit, state, word
    )


@dataclasses.dataclass(frozen=True)
class ConfusionRow:
    label: str
    cells: tuple[tuple[str, float, bool], ...]
    recall: float


def confusion(metrics: Mapping[str, Any], limit: int = 40) -> tuple[tuple[str, ...], tuple[ConfusionRow, ...]]:
    """Column heads, and rows of (count, shade 0 to 1, diagonal?). Errors are shaded against the largest error share."""
    matrix = metrics.get("confusion_matrix") or {}
    labels, counts = [str(v) for v in matrix.get("labels") or ()], matrix.get("counts") or ()
    if not labels or len(labels) > limit or len(counts) != len(labels) or any(len(row) != len(labels) for row in counts):
        return (), ()
    totals = [sum(row) or 1 for row in counts]
    shares = [[value / total for value in row] for row, total in zip(counts, totals, strict=True)]
    worst = max((s for i, row in enumerate(shares) for j, s in enumerate(row) if i != j), default=0.0) or 1.0
    rows = []
    for i, label in enumerate(labels):
        cells = tuple(
            (count(counts[i][j]), shares[i][j] if i == j else shares[i][j] / worst, i == j) for j in range(len(labels))
        )
        rows.append(ConfusionRow(label, cells, shares[i][i]))
    return tuple(labels), tuple(rows)


def frequent_confusions(metrics: Mapping[str, Any], limit: int = 15) -> tuple[tuple[str, str, str], ...]:
    """The pairs that are mixed up most: truth, prediction, rows."""
    matrix = metrics.get("confusion_matrix") or {}
    labels, counts = [str(v) for v in matrix.get("labels") or ()], matrix.get("counts") or ()
    pairs = [
        (value, labels[i], labels[j])
        for i, row in enumerate(counts)
        for j, value in enumerate(row)
        if i != j and value and i < len(labels) and j < len(labels)
    ]
    return tuple((truth, predicted, count(value)) for value, truth, predicted in sorted(pairs, reverse=True)[:limit])


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
        word = "from cache" if component.cached else word
        share = (component.seconds or 0.0) / longest
        rows.append(
            TimingRow(component.id, word, state, duration(component.seconds), share, count(component.rows_in), count(component.rows_out))
        )
    return tuple(rows)
