"""Turns `metrics.json` into the rows of its tables: metrics with their bars, slices, confusion matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from components.formats import count, duration, figure, is_number, shorten
from components.report.facts import RunFacts
from spec.metrics import Metric

SMALL_SLICE = 30
TRIVIAL = "Trivial model"
_MOST_WEIGHTS = 5


@dataclasses.dataclass(frozen=True)
class MetricRow:
    name: str
    value: str
    sure: str
    others: tuple[str, ...]
    bound: str
    state: str
    word: str
    primary: bool


def others(facts: RunFacts) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """What stands beside the model: a table head, and its metrics."""
    metrics = facts.metrics or {}
    champion = metrics.get("champion") or {}
    found = (
        (TRIVIAL, metrics.get("trivial") or {}),
        *((_capital(one["name"]), one["overall"]) for one in methods(facts)),
        (f"Champion, version {champion.get('version')}", champion.get("overall") or {}),
    )
    return tuple((head, values) for head, values in found if any(value is not None for value in values.values()))


def methods(facts: RunFacts) -> tuple[Mapping[str, Any], ...]:
    """The simple methods that stand beside the model; of runs before there could be several, none."""
    return tuple(((facts.metrics or {}).get("baseline") or {}).get("methods") or ())


def learnt(method: Mapping[str, Any]) -> str:
    """What a simple method is, how much it learnt from and how long it took; empty where it did not."""
    if not method.get("train_rows") or method["not_applicable"]:
        return ""
    about = f" ({method['about'].rstrip('.')})" if method.get("about") else ""
    of, took = f"{count(method['train_rows'])} of {count(method['train_rows_in_all'])}", duration(method["seconds"])
    return f"{_capital(method['name'])}{about} learnt from {of} rows in {took}."


def sentence(words: str) -> str:
    return f"{_capital(words)}."


def _capital(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def metric_rows(facts: RunFacts) -> tuple[MetricRow, ...]:
    """Every overall metric beside those of simpler models and the champion's, and its bound; the one that is compared stands first."""
    metrics = facts.metrics or {}
    primary = facts.primary.name
    overall: Mapping[str, Any] = metrics.get("overall") or {}
    sure, beside = metrics.get("bounds") or {}, others(facts)
    rows = []
    for metric, value in sorted(overall.items(), key=lambda item: item[0] != primary):
        bars = bars_of(facts, metric)
        state, word = judged_words(bars)
        rows.append(
            MetricRow(
                facts.metric(metric).title,
                figure(value),
                (sure.get(metric) or {}).get("words", ""),
                tuple(figure(values[metric]) if metric in values else "" for _, values in beside),
                ", ".join(bound_words(bar) for bar in bars),
                state,
                word,
                metric == primary,
            )
        )
    return tuple(rows)


_WORDS = {"failed": ("bad", "Missed"), "not judged": ("warn", "Not judged"), "passed": ("good", "Held")}


def _bars(facts: RunFacts) -> list[Mapping[str, Any]]:
    """What the Evaluator says of each bound: over all rows, and of each slice that was large enough."""
    return list((facts.metrics or {}).get("bars") or ())


def bars_of(facts: RunFacts, metric: str) -> list[Mapping[str, Any]]:
    """What the Evaluator says of the bounds of a metric over all rows."""
    return [bar for bar in _bars(facts) if bar["metric"] == metric and not bar["slice"]]


def judged_words(bars: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The gravest verdict on some bars, as state and word."""
    verdicts = {bar["verdict"] for bar in bars}
    return next((words for verdict, words in _WORDS.items() if verdict in verdicts), ("", ""))


def bound_words(threshold: Mapping[str, Any]) -> str:
    """A bound as tables have it, `≥ 0.9`."""
    low, high = threshold.get("min"), threshold.get("max")
    parts = [f"≥ {low:g}"] if is_number(low) else []
    parts += [f"≤ {high:g}"] if is_number(high) else []
    return " and ".join(parts)


@dataclasses.dataclass(frozen=True)
class SliceRow:
    value: str
    rows: int | None
    primary: float | None
    others: tuple[str, ...]
    bound: float | None
    state: str
    word: str
    small: bool


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
    """The titles of the other metrics (table heads), and the slices by column, weakest first."""
    metrics = facts.metrics or {}
    primary = facts.primary.name
    others = tuple(metric for metric in (metrics.get("overall") or {}) if metric != primary)[:4]
    by_column: dict[str, list[Mapping[str, Any]]] = {}
    for one in metrics.get("slices") or ():
        by_column.setdefault(str(one.get("column")), []).append(one)
    overall = (metrics.get("overall") or {}).get(primary)
    thresholds = (facts.workload.get("evaluation") or {}).get("thresholds") or ()
    groups = []
    for column, slices in by_column.items():
        values = [one["metrics"][primary] for one in slices if is_number((one.get("metrics") or {}).get(primary))]
        values += [overall] if is_number(overall) else []
        bounds = [t for t in thresholds if t.get("slice") == column and t.get("metric") == primary]
        values += [t[k] for t in bounds for k in ("min", "max") if is_number(t.get(k))]
        ordered = sorted(slices, key=lambda one: (_is_small(one), _weakness(one, facts.primary)))
        rows = tuple(_slice_row(facts, one, primary, others, bounds) for one in ordered[:limit])
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        groups.append(SliceGroup(column, low, high, rows, max(0, len(slices) - limit)))
    return tuple(facts.metric(metric).title for metric in others), tuple(groups)


def _is_small(one: Mapping[str, Any]) -> bool:
    rows = one.get("rows")
    return rows is not None and is_number(rows) and rows < SMALL_SLICE


def _weakness(one: Mapping[str, Any], metric: Metric) -> float:
    value = (one.get("metrics") or {}).get(metric.name)
    if value is None or not is_number(value):
        return float("inf")
    return -float(value) if metric.lower_is_better else float(value)


def _slice_row(
    facts: RunFacts, one: Mapping[str, Any], primary: str, others: Sequence[str], bounds: Sequence[Mapping[str, Any]]
) -> SliceRow:
    metrics, rows = one.get("metrics") or {}, one.get("rows")
    value = metrics.get(primary)
    state, word = judged_words(
        [b for b in _bars(facts) if (b["slice"], b["value"]) == (one.get("column"), one.get("value"))]
    )
    limit = next((t[k] for t in bounds for k in ("min", "max") if is_number(t.get(k))), None)
    name = "(missing)" if one.get("value") in (None, "") else shorten(one.get("value"), 48)
    return SliceRow(
        value=name,
        rows=rows if is_number(rows) else None,
        primary=value if is_number(value) else None,
        others=tuple(figure(metrics.get(metric)) for metric in others),
        bound=limit,
        state=state,
        word=word,
        small=_is_small(one),
    )


@dataclasses.dataclass(frozen=True)
class ConfusionRow:
    label: str
    cells: tuple[tuple[str, float, bool], ...]
    recall: float


def confusion(matrix: Mapping[str, Any], limit: int = 40) -> tuple[tuple[str, ...], tuple[ConfusionRow, ...]]:
    """Column heads, and rows of (count, shade 0 to 1, diagonal?). Errors are shaded against the largest error share."""
    labels, counts = [str(v) for v in matrix.get("labels") or ()], matrix.get("counts") or ()
    if (
        not labels
        or len(labels) > limit
        or len(counts) != len(labels)
        or any(len(row) != len(labels) for row in counts)
    ):
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


def frequent_confusions(matrix: Mapping[str, Any], limit: int = 15) -> tuple[tuple[str, str, str], ...]:
    """The pairs that are mixed up most: truth, prediction, rows."""
    labels, counts = [str(v) for v in matrix.get("labels") or ()], matrix.get("counts") or ()
    pairs = [
        (value, labels[i], labels[j])
        for i, row in enumerate(counts)
        for j, value in enumerate(row)
        if i != j and value and i < len(labels) and j < len(labels)
    ]
    return tuple((truth, predicted, count(value)) for value, truth, predicted in sorted(pairs, reverse=True)[:limit])


def training_words(training: Mapping[str, Any]) -> tuple[str, ...]:
    """What training began with and how rows were treated, in sentences; nothing where all is as usual."""
    sentences = [one["words"] for one in (training.get("start"), training.get("teacher")) if one]
    privacy: Mapping[str, Any] = training.get("privacy") or {}
    if privacy:
        sentences.append(
            f"Trained under differential privacy: epsilon {float(privacy['epsilon']):.3g} at delta {float(privacy['delta']):g}, "
            f"after {count(privacy['steps'])} steps with noise {float(privacy['noise']):g} and gradients of a row of at most "
            f"{float(privacy['clip']):g}. It covers {privacy['covers']}."
        )
    weights: Mapping[str, Any] = training.get("class_weights") or {}
    if weights:
        heaviest = sorted(weights.items(), key=lambda item: -float(item[1]))[:_MOST_WEIGHTS]
        more = f" and {len(weights) - len(heaviest)} more" if len(weights) > len(heaviest) else ""
        sentences.append(
            f"Class weights: {', '.join(f'{shorten(str(name), 24)} {float(weight):.3g}' for name, weight in heaviest)}{more}. The "
            "probabilities are those of a world in which the classes are as frequent as the weights make them: they rank rows, and "
            "are no shares. Calibration says how far off they are."
        )
    decision: Mapping[str, Any] = training.get("decision") or {}
    if decision.get("positives") is not None:
        reached = ", ".join(
            f"{name} {figure(decision.get(name))}" for name in ("precision", "recall") if is_number(decision.get(name))
        )
        caution = f" Note: {decision['caution']}." if decision.get("caution") else ""
        sentences.append(
            f"A row is called positive above {float(decision['threshold']):.4g} ({decision['rule']}, chosen on eval"
            f"{f': {reached} there' if reached else ''}).{caution}"
        )
    elif is_number(decision.get("threshold")) and float(decision["threshold"]) != 0.5:
        sentences.append(f"A row is called positive above {float(decision['threshold']):.4g}.")
    return tuple(sentences)
