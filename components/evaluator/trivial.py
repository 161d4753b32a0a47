"""What a model reaches that ignores its inputs: the figures that any other has to be seen beside."""

from __future__ import annotations

import numpy as np

from components.evaluator.metrics import METRICS, MulticlassMetrics, RegressionMetrics, Sums, TaskMetrics, Values, ratio


def trivial(metrics: TaskMetrics, sums: Sums, labels: np.ndarray) -> Values:
    """By metric, the best that giving every row the same answer reaches.

    That answer may be another for each metric: the most frequent class for accuracy, its share for log_loss, always the positive
    class for recall, the mean for rmse, the median for mae. Of ranking it is the mean of all orders.

    Args:
        metrics: of the task.
        sums: over all rows; of ranking those of rows that all have the same score.
        labels: of a sample of the rows, [N]; for the medians of regression.
    """
    if metrics.task == "ranking":
        return metrics.metrics(sums)
    if isinstance(metrics, MulticlassMetrics):
        return _multiclass(metrics.confusion(sums).sum(axis=1))
    if isinstance(metrics, RegressionMetrics):
        return _regression(sums, labels.astype(np.float64))
    return _binary(float(sums.terms["labels"][0]), float(sums.terms["rows"][0]))


def _binary(positives: float, rows: float) -> Values:
    share = ratio(positives, rows)
    if not share or share == 1:
        return dict.fromkeys(METRICS["binary"])
    return {
        "auc": 0.5,
        "auc_pr": share,
        "accuracy": max(share, 1 - share),
        "precision": share,
        "recall": 1.0,
        "f1": 2 * share / (1 + share),
        "log_loss": _entropy(np.array([share, 1 - share])),
        "calibration": 1.0,
    }


def _multiclass(counts: np.ndarray) -> Values:
    if not counts.sum():
        return dict.fromkeys(METRICS["multiclass"])
    shares = counts / counts.sum()
    largest = float(shares.max())
    return {
        "accuracy": largest,
        "macro_f1": 2 * largest / (1 + largest) / int((shares > 0).sum()),
        "top_3_accuracy": float(np.sort(shares)[-3:].sum()),
        "log_loss": _entropy(shares),
    }


def _regression(sums: Sums, labels: np.ndarray) -> Values:
    rows, total, squares = (float(sums.terms[name][0]) for name in ("rows", "labels", "squared_labels"))
    if not rows or not len(labels):
        return dict.fromkeys(METRICS["regression"])
    nonzero = np.sort(labels[labels != 0])
    return {
        "rmse": float(np.sqrt(max(0.0, squares / rows - (total / rows) ** 2))),
        "mae": float(np.abs(labels - np.median(labels)).mean()),
        "mape": float(100 * np.abs(1 - _relative_median(nonzero) / nonzero).mean()) if len(nonzero) else None,
        "r2": 0.0,
        "bias": 0.0,
    }


def _relative_median(labels: np.ndarray) -> float:
    """The answer of the least relative error: the median, each label weighed by one over its size."""
    weights = np.cumsum(1 / np.abs(labels))
    return float(labels[np.searchsorted(weights, weights[-1] / 2)])


def _entropy(shares: np.ndarray) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())
