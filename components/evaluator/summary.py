"""metrics.json: what the report, the CLI and the release say about an evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.evaluator.bars import bars, plain, words
from components.evaluator.confidence import bounds
from components.evaluator.config import EvaluationConfig
from components.evaluator.evaluation import Outcome, confusion_counts
from components.evaluator.judgement import Comparison
from components.evaluator.metrics import METRICS, BinaryMetrics, Sums, TaskMetrics
from components.gates import GateResult, Severity

METRICS_FILE = "metrics.json"
_CURVE_POINTS = 200
_BUCKETS = 10
_RESIDUAL_BINS = 40


def summarise(
    outcome: Outcome,
    gate: GateResult,
    comparison: Comparison | None,
    config: EvaluationConfig,
    span: int,
    champion_version: int,
) -> dict[str, Any]:
    """The content of metrics.json; figures are finite or null."""
    metrics, sums = outcome.metrics, outcome.challenger.sums
    assert sums is not None
    confusion = confusion_counts(outcome)
    return {
        "task": metrics.task,
        "label": config.label,
        "queries": _queries(sums),
        "classes": list(outcome.classes),
        "rows": outcome.rows,
        "span": span,
        "overall": metrics.metrics(sums),
        "confidence": config.confidence,
        "bounds": _bounds(metrics, sums, config),
        "trivial": outcome.trivial,
        "bars": [plain(bar) for found in bars(outcome, config) for bar in found],
        "slices": _slices(outcome),
        "confusion_matrix": None
        if confusion is None
        else {"labels": list(outcome.classes), "counts": confusion.astype(int).tolist()},
        "threshold": metrics.threshold if isinstance(metrics, BinaryMetrics) else None,
        "roc": _roc(metrics, sums),
        "precision_recall": _precision_recall(metrics, sums),
        "calibration": _calibration(metrics, sums),
        "residuals": _residuals(outcome),
        "champion": _champion(outcome, comparison, champion_version),
        "blessed": gate.passes,
        "reasons": [check.words for check in gate.objections(Severity.CRITICAL)],
        "warnings": [check.words for check in gate.objections(Severity.WARNING)],
    }


def _bounds(metrics: TaskMetrics, sums: Sums, config: EvaluationConfig) -> dict[str, dict[str, Any]]:
    """How sure each metric over all rows is, and whether it is judged; without those of which nothing can be said."""
    level = config.confidence
    found = {name: bounds(metrics, name, sums, level) for name in METRICS[metrics.task]}
    gated = {one.metric for one in config.thresholds if one.slice is None}
    return {
        name: {"low": sure.low, "high": sure.high, "words": words(name, sure, level), "gated": name in gated}
        for name, sure in found.items()
        if sure is not None
    }


def _slices(outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {"column": column, "value": value, "rows": rows, "metrics": outcome.metrics.metrics(sliced.sums, index)}
        for column, sliced in outcome.slices.items()
        for value, index, rows in sliced.by_rows()
        if sliced.sums is not None
    ]


def _queries(sums: Sums) -> dict[str, int] | None:
    """How many queries were ranked, and how many have a relevant row and count; None for other tasks."""
    if "queries" not in sums.terms:
        return None
    return {"all": int(sums.terms["queries"][0]), "judged": int(sums.terms["judged"][0])}


def _roc(metrics: object, sums: Sums) -> dict[str, list[float]] | None:
    """Points of the ROC curve."""
    if not isinstance(metrics, BinaryMetrics):
        return None
    false_positives, true_positives = metrics.counts_above(sums, 0)
    if not false_positives[0] or not true_positives[0]:
        return None
    fpr, tpr = false_positives / false_positives[0], true_positives / true_positives[0]
    chosen = _spread(fpr, tpr)[::-1]
    thresholds = np.clip(metrics.thresholds[chosen], 0, 1)
    return {"fpr": _rounded(fpr[chosen]), "tpr": _rounded(tpr[chosen]), "thresholds": _rounded(thresholds)}


def _precision_recall(metrics: object, sums: Sums) -> dict[str, Any] | None:
    """Points of the precision-recall curve by rising recall, and what calling every row positive would come to."""
    if not isinstance(metrics, BinaryMetrics):
        return None
    false_positives, true_positives = metrics.counts_above(sums, 0)
    if not false_positives[0] or not true_positives[0]:
        return None
    called = true_positives + false_positives
    some = called > 0
    recall, precision = true_positives[some] / true_positives[0], true_positives[some] / called[some]
    chosen = _spread(recall, precision)[::-1]
    thresholds = np.clip(metrics.thresholds[some][chosen], 0, 1)
    return {
        "recall": _rounded(recall[chosen]),
        "precision": _rounded(precision[chosen]),
        "thresholds": _rounded(thresholds),
        "positive_share": float(true_positives[0] / called[0]),
        "positives": int(true_positives[0]),
    }


def _spread(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Places of points that lie evenly along the length of a curve, so that a steep part keeps its shape."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    return np.unique(np.searchsorted(length, np.linspace(0, length[-1], _CURVE_POINTS)))


def _calibration(metrics: object, sums: Sums) -> dict[str, list[float]] | None:
    """Ten buckets of predicted probability; those without rows are left out."""
    if not isinstance(metrics, BinaryMetrics):
        return None
    histogram = sums.cells["score"][0].reshape(2, -1)
    edges = np.clip(metrics.thresholds, 0, 1)
    middle = np.concatenate([[0.0], (edges[:-1] + edges[1:]) / 2, [1.0]])
    bucket = np.minimum((middle * _BUCKETS).astype(int), _BUCKETS - 1)
    count = np.bincount(bucket, weights=histogram.sum(axis=0), minlength=_BUCKETS)
    positive = np.bincount(bucket, weights=histogram[1], minlength=_BUCKETS)
    predicted = np.bincount(bucket, weights=histogram.sum(axis=0) * middle, minlength=_BUCKETS)
    some = count > 0
    return {
        "mean_predicted": _rounded(predicted[some] / count[some]),
        "fraction_positive": _rounded(positive[some] / count[some]),
        "count": count[some].astype(int).tolist(),
    }


def _residuals(outcome: Outcome) -> dict[str, list[float]] | None:
    """Prediction minus label, within the central 99%; rows beyond are counted in the outermost bins."""
    arrays = outcome.sample.arrays()
    if outcome.metrics.task != "regression" or not arrays or not len(arrays[0]):
        return None
    error = arrays[1].astype(np.float64) - arrays[0]
    low, high = np.quantile(error, [0.005, 0.995])
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(error, low, high), bins=_RESIDUAL_BINS, range=(low, high))
    scaled = np.rint(counts * (outcome.sample.rows_seen / len(error))).astype(int)
    return {"edges": edges.tolist(), "counts": scaled.tolist()}


def _champion(outcome: Outcome, comparison: Comparison | None, version: int) -> dict[str, Any] | None:
    if outcome.champion is None or outcome.champion.sums is None or comparison is None:
        return None
    interval = comparison.interval
    return {
        "version": version,
        "overall": outcome.metrics.metrics(outcome.champion.sums),
        "threshold": theirs.threshold if isinstance(theirs := outcome.champion.metrics, BinaryMetrics) else None,
        "roc": _roc(outcome.metrics, outcome.champion.sums),
        "precision_recall": _precision_recall(outcome.metrics, outcome.champion.sums),
        "metric": comparison.metric,
        "challenger_value": comparison.challenger,
        "champion_value": comparison.champion,
        "difference": comparison.difference,
        "ci_low": interval.low if interval else None,
        "ci_high": interval.high if interval else None,
        "max_loss": comparison.max_loss,
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.round(values, 6)]
