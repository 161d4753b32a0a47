"""How sure a metric is: what it is at least, and at most, at a level of confidence, from the sums that the metric is made of.

Closed forms, so that a billion rows cost what ten cost, slices have theirs, and sums of many workers are enough. None of them
has zero width where a small sample happens to be without an error, as a bootstrap or a normal interval has. Each bound is
one-sided: at 0.95 the true value lies below `low` in at most about 5 of 100 samples, and above `high` in as many.

| metric | method |
|---|---|
| accuracy, precision, recall, top_3_accuracy | exact for a proportion (Clopper and Pearson, 1934) |
| f1 | 2J / (1 + J) of the Jaccard proportion J = TP / (TP + FP + FN), exact |
| macro_f1 | of each class as f1, combined by the square-and-add rule (Zou and Donner, 2008) |
| auc | method 5 of Newcombe (2006), with a variance after Hanley and McNeil (1982) |
| auc_pr | exact, as for a proportion of the positives (the binomial interval of Boyd, Eng and Page, 2013) |
| rmse, mae, mape, log_loss, r2, calibration | the delta method on the logarithm of a mean or of a ratio of means, with Student's t |
| bias | Student's t |
| ranking | a mean over queries of values from 0 to 1, with pseudo-queries after Agresti and Coull (1998) |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from components.confidence import Bounds, area_bounds, proportion_bounds
from components.evaluator.metrics import MulticlassMetrics, Sums, TaskMetrics

Terms = Mapping[str, float]


def bounds(metrics: TaskMetrics, metric: str, sums: Sums, level: float, slice_index: int = 0) -> Bounds | None:
    """The bounds of one metric of one slice.

    Args:
        metrics: of the task.
        metric: one of METRICS[task].
        sums: of the slices.
        level: of each bound, e.g. 0.95.
        slice_index: which slice.

    Returns:
        None where the metric is undefined, or nothing can be said of it: a single row, or all rows with the same loss.

    Example:
        >>> import numpy as np
        >>> task = BinaryMetrics()
        >>> four = task.reduce(task.prepare(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])))
        >>> task.value("auc", four), round(bounds(task, "auc", four, 0.95).low, 2)
        (1.0, 0.36)
    """
    value = metrics.value(metric, sums, slice_index)
    if value is None:
        return None
    terms = {name: float(values[slice_index]) for name, values in sums.terms.items()}
    if metric == "auc":
        return area_bounds(value, terms["labels"], terms["rows"] - terms["labels"], level)
    if metric == "auc_pr":
        return proportion_bounds(value * terms["labels"], terms["labels"], level)
    if metric == "macro_f1":
        assert isinstance(metrics, MulticlassMetrics)
        return _macro_f1(metrics.confusion(sums, slice_index), level)
    if metrics.task == "ranking":
        return mean_of_shares(terms[metric], terms[f"squared_{metric}"], terms["judged"], level)
    return _OF_TERMS[metric](terms, level)


def mean_of_shares(total: float, squares: float, rows: float, level: float) -> Bounds | None:
    """Of a mean of values from 0 to 1, with z^2 / 2 values of 0 and as many of 1 added (after Agresti and Coull, 1998)."""
    if rows < 2:
        return None
    z = float(stats.norm.ppf(level))
    more = rows + z**2
    mean = (total + z**2 / 2) / more
    width = z * math.sqrt(max(0.0, (squares + z**2 / 2) / more - mean**2) / more)
    return Bounds(max(0.0, min(mean - width, total / rows)), min(1.0, max(mean + width, total / rows)))


def mean(total: float, squares: float, rows: float, level: float) -> Bounds | None:
    """Of a mean (Student, 1908); None of a single row, and where all have the same value."""
    error = _standard_error(total, squares, rows)
    if not error:
        return None
    middle, width = total / rows, float(stats.t.ppf(level, rows - 1)) * error
    return Bounds(middle - width, middle + width)


def positive(value: float, relative_error: float | None, rows: float, level: float) -> Bounds | None:
    """Of a mean, or a ratio of means, that is above 0, on the logarithm's scale: its distribution is skewed to the right."""
    if not value > 0 or not relative_error:
        return None
    factor = math.exp(min(700.0, float(stats.t.ppf(level, rows - 1)) * relative_error))
    return Bounds(value / factor, value * factor)


def mean_of_parts(parts: Sequence[tuple[float, Bounds]]) -> Bounds:
    """Of the mean of several figures that have bounds: square-and-add (Zou and Donner, 2008)."""
    middle = float(np.mean([value for value, _ in parts]))
    down = math.sqrt(sum((value - found.low) ** 2 for value, found in parts)) / len(parts)
    up = math.sqrt(sum((found.high - value) ** 2 for value, found in parts)) / len(parts)
    return Bounds(max(0.0, middle - down), min(1.0, middle + up))


def _standard_error(total: float, squares: float, rows: float) -> float | None:
    """Of a mean; None of a single row, 0 where all values are the same but for rounding."""
    if rows < 2:
        return None
    spread = squares - total**2 / rows
    return math.sqrt(spread / (rows - 1) / rows) if spread > 1e-12 * squares else 0.0


def _jaccard(hits: float, wrong: float, level: float) -> Bounds:
    found = proportion_bounds(hits, hits + wrong, level)
    return Bounds(2 * found.low / (1 + found.low), 2 * found.high / (1 + found.high))


def _macro_f1(confusion: np.ndarray, level: float) -> Bounds | None:
    hits = np.diag(confusion)
    support = confusion.sum(axis=0) + confusion.sum(axis=1)
    parts = [
        (float(2 * hit / many), _jaccard(float(hit), float(many - 2 * hit), level))
        for hit, many in zip(hits, support, strict=True)
        if many
    ]
    return mean_of_parts(parts) if parts else None


def _accuracy(t: Terms, level: float) -> Bounds:
    right = t["correct"] if "correct" in t else t["rows"] - (t["labels"] + t["called"] - 2 * t["true_positives"])
    return proportion_bounds(right, t["rows"], level)


def _f1(t: Terms, level: float) -> Bounds:
    return _jaccard(t["true_positives"], t["labels"] + t["called"] - 2 * t["true_positives"], level)


def _mean_loss(term: str, squared: str, of: str = "rows", unit: float = 1.0) -> Callable[[Terms, float], Bounds | None]:
    def found(t: Terms, level: float) -> Bounds | None:
        value, error = t[term] / t[of], _standard_error(t[term], t[squared], t[of])
        return positive(value * unit, error / value if error and value else None, t[of], level)

    return found


def _rmse(t: Terms, level: float) -> Bounds | None:
    found = _mean_loss("squared_error", "quartic_error")(t, level)
    return found and Bounds(math.sqrt(found.low), math.sqrt(found.high))


def _r2(t: Terms, level: float) -> Bounds | None:
    """One minus the ratio of two means: of the squared error, and of the label's squared distance from its mean."""
    n = t["rows"]
    m1, m2, m3, m4 = (t[name] / n for name in ("labels", "squared_labels", "cubed_labels", "quartic_labels"))
    spread, error = m2 - m1**2, t["squared_error"] / n
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    both = (t["error_squared_labels"] - 2 * m1 * t["error_labels"] + m1**2 * t["squared_error"]) / n
    found = positive(error / spread, _relative_error(error, spread, t["quartic_error"] / n, both, fourth, n), n, level)
    return found and Bounds(1 - found.high, 1 - found.low)


def _calibration(t: Terms, level: float) -> Bounds | None:
    n = t["rows"]
    p, y, pp, py = (t[k] / n for k in ("predictions", "labels", "squared_predictions", "predictions_of_positives"))
    return positive(p / y, _relative_error(p, y, pp, py, y, n), n, level)


def _relative_error(a: float, b: float, aa: float, ab: float, bb: float, rows: float) -> float | None:
    """The standard error of log(a / b), from the means of a, b, a^2, a b and b^2 over rows (delta method)."""
    if rows < 2 or not a or not b:
        return None
    return math.sqrt(max(0.0, aa / a**2 - 2 * ab / (a * b) + bb / b**2) / (rows - 1))


_OF_TERMS: Mapping[str, Callable[[Terms, float], Bounds | None]] = {
    "accuracy": _accuracy,
    "precision": lambda t, level: proportion_bounds(t["true_positives"], t["called"], level),
    "recall": lambda t, level: proportion_bounds(t["true_positives"], t["labels"], level),
    "top_3_accuracy": lambda t, level: proportion_bounds(t["top_3"], t["rows"], level),
    "f1": _f1,
    "log_loss": _mean_loss("log_loss", "squared_log_loss"),
    "calibration": _calibration,
    "rmse": _rmse,
    "mae": _mean_loss("absolute_error", "squared_error"),
    "mape": _mean_loss("relative_error", "squared_relative_error", "nonzero", 100.0),
    "r2": _r2,
    "bias": lambda t, level: mean(t["error"], t["squared_error"], t["rows"], level),
}
