"""metrics.json: what the report, the CLI and the release say about an evaluation."""

from __future__ import annotations

from typing import Any

from components.evaluator import fairness
from components.evaluator.bars import bars, plain, words
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.evaluator.judgement import Comparison
from components.gates import GateResult, Severity
from components.tasks import MergeableSums

METRICS_FILE = "metrics.json"
_CHARTS = ("roc", "precision_recall", "calibration", "residuals")


def summarise(
    outcome: Findings,
    gate: GateResult,
    comparison: Comparison | None,
    config: EvaluationConfig,
    span: int,
    champion_version: int,
) -> dict[str, Any]:
    """The content of metrics.json; figures are finite or null."""
    task, sums = outcome.task, outcome.challenger.sums
    assert sums is not None
    confusion = task.confusion(sums)
    return {
        "task": task.name,
        "label": config.label,
        "queries": _queries(sums),
        "classes": list(outcome.task.classes),
        "rows": outcome.rows,
        "span": span,
        "overall": task.values(sums),
        "confidence": config.confidence,
        "bounds": _bounds(outcome, sums, config),
        "trivial": outcome.trivial(),
        "bars": [plain(bar) for found in bars(outcome, config) for bar in found],
        "slices": _slices(outcome),
        "fairness": fairness.plain(outcome, config),
        "confusion_matrix": None
        if confusion is None
        else {"labels": list(outcome.task.classes), "counts": confusion.astype(int).tolist()},
        "threshold": task.threshold if task.takes_threshold else None,
        **dict.fromkeys(_CHARTS),
        **task.charts(sums, outcome.sample.arrays(), outcome.sample.rows_seen),
        "champion": _champion(outcome, comparison, champion_version),
        "blessed": gate.passes,
        "reasons": [check.words for check in gate.objections(Severity.CRITICAL)],
        "warnings": [check.words for check in gate.objections(Severity.WARNING)],
    }


def _bounds(outcome: Findings, sums: MergeableSums, config: EvaluationConfig) -> dict[str, dict[str, Any]]:
    """How sure each metric over all rows is, and whether it is judged; without those of which nothing can be said."""
    level = config.confidence
    task = outcome.task
    found = {name: task.bounds(name, sums, level) for name in task.metric_names()}
    gated = {one.metric for one in config.thresholds if one.slice is None}
    return {
        name: {
            "low": sure.low,
            "high": sure.high,
            "words": words(task.metric(name), sure, level),
            "gated": name in gated,
        }
        for name, sure in found.items()
        if sure is not None
    }


def _slices(outcome: Findings) -> list[dict[str, Any]]:
    return [
        {"column": column, "value": value, "rows": rows, "metrics": outcome.task.values(sliced.sums, index)}
        for column, sliced in outcome.slices.items()
        for value, index, rows in sliced.by_rows()
        if sliced.sums is not None
    ]


def _queries(sums: MergeableSums) -> dict[str, int] | None:
    """How many queries were ranked, and how many have a relevant row and count; None for other tasks."""
    if "queries" not in sums.terms:
        return None
    return {"all": int(sums.terms["queries"][0]), "judged": int(sums.terms["judged"][0])}


def _champion(outcome: Findings, comparison: Comparison | None, version: int) -> dict[str, Any] | None:
    if outcome.champion is None or outcome.champion.sums is None or comparison is None:
        return None
    interval, task = comparison.interval, outcome.champion.task
    charts = task.charts(outcome.champion.sums, (), 0)
    return {
        "version": version,
        "overall": outcome.task.values(outcome.champion.sums),
        "threshold": task.threshold if task.takes_threshold else None,
        "roc": charts.get("roc"),
        "precision_recall": charts.get("precision_recall"),
        "metric": comparison.metric,
        "challenger_value": comparison.challenger,
        "champion_value": comparison.champion,
        "difference": comparison.difference,
        "ci_low": interval.low if interval else None,
        "ci_high": interval.high if interval else None,
        "max_loss": comparison.max_loss,
    }
