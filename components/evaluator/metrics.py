"""What a model is judged by: the metrics of each task, as sums that can be merged.

Every metric is a function of sums over rows, so an evaluation is: `prepare` rows (a few numbers each), `reduce` them to
sums per slice, add the sums of all batches (or of all Beam workers: adding is all that it takes), `metrics`. Ranking sums
over queries instead (ranking.py). docs/reference/metrics.md says what each metric means.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping

import numpy as np

METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("auc", "auc_pr", "accuracy", "precision", "recall", "f1", "log_loss", "calibration"),
    "multiclass": ("accuracy", "macro_f1", "top_3_accuracy", "log_loss"),
    "regression": ("rmse", "mae", "mape", "r2", "bias"),
    "ranking": ("ndcg_10", "map", "mrr", "precision_10", "recall_10"),
}
LOWER_IS_BETTER = frozenset({"rmse", "mae", "mape", "log_loss"})
# Neither high nor low is good: the value to be near to.
IDEAL = {"calibration": 1.0, "bias": 0.0}

# As TFMA and Keras have them: 10,000 thresholds, the outermost two just outside [0, 1].
_THRESHOLDS = 10_000
_BUCKETS = 10_000
_EPSILON = 1e-7

Values = dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows reduced to what the metrics need.

    Attributes:
        terms: by name, one number a row, [N]; summed per slice.
        cells: by name, the index of each row's cell in a histogram, [N]; counted per slice.
    """

    terms: dict[str, np.ndarray]
    cells: dict[str, np.ndarray]

    def take(self, index: np.ndarray) -> Rows:
        """Some of the rows."""
        terms = {name: value[index] for name, value in self.terms.items()}
        return Rows(terms, {name: cell[index] for name, cell in self.cells.items()})


@dataclasses.dataclass
class Sums:
    """Sums over the rows of K slices; `a + b` are the sums over the rows of both.

    Attributes:
        terms: by name, [K].
        cells: by name, [K, number of cells].
    """

    terms: dict[str, np.ndarray]
    cells: dict[str, np.ndarray]

    def __add__(self, other: Sums) -> Sums:
        """Both must be of the same metrics; the one with fewer slices is taken to have seen none of the others."""
        slices = max(len(self), len(other))
        mine, theirs = self.padded(slices), other.padded(slices)
        return Sums(
            {name: value + theirs.terms[name] for name, value in mine.terms.items()},
            {name: value + theirs.cells[name] for name, value in mine.cells.items()},
        )

    def __len__(self) -> int:
        return len(self.terms["rows"])

    def padded(self, slices: int) -> Sums:
        """The same sums with room for so many slices; the new ones are empty."""
        extra = slices - len(self)
        if not extra:
            return self
        return Sums(
            {name: np.pad(value, (0, extra)) for name, value in self.terms.items()},
            {name: np.pad(value, ((0, extra), (0, 0))) for name, value in self.cells.items()},
        )


class TaskMetrics(abc.ABC):
    """The metrics of one task."""

    task: str
    widths: Mapping[str, int]  # of the histograms, in cells

    @abc.abstractmethod
    def valid(self, predictions: np.ndarray) -> np.ndarray:
        """Which rows have a prediction that fits the task, [N] of bool."""

    @abc.abstractmethod
    def value(self, metric: str, sums: Sums, slice_index: int = 0) -> float | None:
        """One metric of one slice; None where it is undefined, as AUC is for a single class."""

    def metrics(self, sums: Sums, slice_index: int = 0) -> Values:
        """All metrics of METRICS[task] of one slice."""
        return {metric: self.value(metric, sums, slice_index) for metric in METRICS[self.task]}

    def reduce(
        self, rows: Rows, slices: np.ndarray | None = None, count: int = 1, weights: np.ndarray | None = None
    ) -> Sums:
        """Sums per slice.

        Args:
            rows: of `prepare`.
            slices: each row's slice in 0..count-1, [N]; default: all are in slice 0.
            count: how many slices there are.
            weights: how often each row counts, [N]; default once.
        """
        if slices is None:
            index: np.ndarray | int = 0
            # Not `@`: BLAS would start threads for sums that one core is done with sooner.
            terms = {
                name: np.array([value.sum() if weights is None else (value * weights).sum()])
                for name, value in rows.terms.items()
            }
        else:
            index = slices
            terms = {
                name: np.bincount(index, weights=value if weights is None else value * weights, minlength=count)
                for name, value in rows.terms.items()
            }
        cells = {}
        for name, cell in rows.cells.items():
            width = self.widths[name]
            flat = np.bincount(index * width + cell, weights=weights, minlength=count * width)
            cells[name] = flat.astype(np.float64, copy=False).reshape(count, width)
        return Sums(terms, cells)


class RowMetrics(TaskMetrics):
    """Metrics to which each row adds by itself."""

    @abc.abstractmethod
    def prepare(self, labels: np.ndarray, predictions: np.ndarray) -> Rows:
        """What the metrics need of each row.

        Args:
            labels: [N]; class indices, or numbers for regression.
            predictions: valid ones, [N], or [N, C] for multiclass.
        """


class BinaryMetrics(RowMetrics):
    """Labels 0 and 1, predictions the probability of 1.

    Args:
        threshold: a row is called positive above it.
    """

    task = "binary"
    thresholds = np.concatenate([[-_EPSILON], np.arange(1, _THRESHOLDS - 1) / (_THRESHOLDS - 1), [1.0 + _EPSILON]])
    widths = {"score": 2 * (_THRESHOLDS + 1)}

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        # TFMA first counts predictions in 10,000 equal buckets and takes each bucket for its lower edge. So do we, to the
        # last digit: on a thousand rows that moves the area by 1e-5 against Keras' exact comparison with the thresholds.
        edges = np.concatenate([[-np.inf], np.arange(_BUCKETS) / _BUCKETS, [np.inf]])
        above = np.searchsorted(self.thresholds + _EPSILON, edges, side="right")
        self._above = np.clip(above, 1, _THRESHOLDS - 1)  # of each bucket: at how many thresholds it counts as positive

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        return np.isfinite(predictions) & (predictions >= -_EPSILON) & (predictions <= 1 + _EPSILON)

    def prepare(self, labels: np.ndarray, predictions: np.ndarray) -> Rows:
        p = predictions.astype(np.float64)
        y = labels.astype(np.float64)
        called = (p > self.threshold).astype(np.float64)
        clipped = np.clip(p, _EPSILON, 1 - _EPSILON)
        terms = {
            "rows": np.ones(len(p)),
            "labels": y,
            "predictions": p,
            "called": called,
            "true_positives": called * y,
            "log_loss": (loss := -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))),
            # How sure the figures are (confidence.py).
            "squared_log_loss": loss**2,
            "squared_predictions": p**2,
            "predictions_of_positives": p * y,
        }
        bucket = np.clip(p * _BUCKETS + 1, 0, _BUCKETS + 1).astype(np.int64)
        return Rows(terms, {"score": labels.astype(np.int64) * (_THRESHOLDS + 1) + self._above[bucket]})

    def value(self, metric: str, sums: Sums, slice_index: int = 0) -> float | None:
        if metric == "auc":
            return self._auc(sums, slice_index)
        if metric == "auc_pr":
            return self._auc_pr(sums, slice_index)
        t = {name: float(value[slice_index]) for name, value in sums.terms.items()}
        rows, positives, called, hits = t["rows"], t["labels"], t["called"], t["true_positives"]
        wrong = positives + called - 2 * hits
        return {
            "accuracy": ratio(rows - wrong, rows),
            "precision": ratio(hits, called),
            "recall": ratio(hits, positives),
            "f1": ratio(2 * hits, positives + called),
            "log_loss": ratio(t["log_loss"], rows),
            "calibration": ratio(t["predictions"], positives),
        }[metric]

    def counts_above(self, sums: Sums, slice_index: int) -> tuple[np.ndarray, np.ndarray]:
        """False and true positives at each threshold, [10,000] each, falling."""
        histogram = sums.cells["score"][slice_index].reshape(2, -1)
        above = histogram[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        return above[0], above[1]

    def _auc(self, sums: Sums, slice_index: int) -> float | None:
        false_positives, true_positives = self.counts_above(sums, slice_index)
        negatives, positives = false_positives[0], true_positives[0]
        if not negatives or not positives:
            return None
        fpr, tpr = false_positives / negatives, true_positives / positives
        return float(np.sum((fpr[:-1] - fpr[1:]) * (tpr[:-1] + tpr[1:]) / 2))

    def _auc_pr(self, sums: Sums, slice_index: int) -> float | None:
        """Interpolated as Davis and Goadrich (2006) do: true positives linearly, precision along with them."""
        fp, tp = self.counts_above(sums, slice_index)
        positives = tp[0]
        if not positives or not fp[0]:
            return None
        called = tp + fp
        d_tp, d_called = tp[:-1] - tp[1:], called[:-1] - called[1:]
        slope = _divide(d_tp, d_called)
        intercept = tp[1:] - slope * called[1:]
        both = (called[:-1] > 0) & (called[1:] > 0)
        ratio = np.where(both, _divide(called[:-1], called[1:]), 1.0)
        gains = _divide(slope * (d_tp + intercept * np.log(ratio)), np.full_like(tp[1:], positives))
        return float(gains.sum())


class MulticlassMetrics(RowMetrics):
    """Labels are class indices, predictions a probability for each class."""

    task = "multiclass"

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.widths = {"confusion": classes * classes}

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        inside = np.isfinite(predictions) & (predictions >= -_EPSILON) & (predictions <= 1 + 1e-5)
        return np.asarray(inside.all(axis=1) & (np.abs(predictions.sum(axis=1) - 1) < 1e-3))

    def prepare(self, labels: np.ndarray, predictions: np.ndarray) -> Rows:
        p = predictions.astype(np.float64)
        p /= p.sum(axis=1, keepdims=True)
        of_label = p[np.arange(len(p)), labels]
        called = p.argmax(axis=1)
        terms = {
            "rows": np.ones(len(p)),
            "correct": (called == labels).astype(np.float64),
            # Ties count for the model, as in TensorFlow's in_top_k.
            "top_3": ((p > of_label[:, None]).sum(axis=1) < 3).astype(np.float64),
            "log_loss": (loss := -np.log(np.clip(of_label, _EPSILON, 1 - _EPSILON))),
            "squared_log_loss": loss**2,
        }
        return Rows(terms, {"confusion": labels.astype(np.int64) * self.classes + called})

    def value(self, metric: str, sums: Sums, slice_index: int = 0) -> float | None:
        if metric == "macro_f1":
            confusion = self.confusion(sums, slice_index)
            support = confusion.sum(axis=0) + confusion.sum(axis=1)
            f1 = _divide(2 * np.diag(confusion), support)[support > 0]
            return float(f1.mean()) if len(f1) else None
        term = {"accuracy": "correct", "top_3_accuracy": "top_3", "log_loss": "log_loss"}[metric]
        return ratio(float(sums.terms[term][slice_index]), float(sums.terms["rows"][slice_index]))

    def confusion(self, sums: Sums, slice_index: int = 0) -> np.ndarray:
        """Rows by truth and prediction, [C, C]."""
        return sums.cells["confusion"][slice_index].reshape(self.classes, self.classes)


class RegressionMetrics(RowMetrics):
    """Labels and predictions are numbers in the label's unit.

    Args:
        pivot: a number near the labels, subtracted before squares are summed: r2 then keeps its digits for labels such
            as timestamps. The same for all sums that are to be merged.
    """

    task = "regression"
    widths: Mapping[str, int] = {}

    def __init__(self, pivot: float = 0.0) -> None:
        self.pivot = pivot

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        return np.isfinite(predictions)

    def prepare(self, labels: np.ndarray, predictions: np.ndarray) -> Rows:
        y = labels.astype(np.float64)
        error = predictions.astype(np.float64) - y
        centred = y - self.pivot
        nonzero = y != 0
        terms = {
            "rows": np.ones(len(y)),
            "labels": centred,
            "squared_labels": centred**2,
            "error": error,
            "squared_error": error**2,
            "absolute_error": np.abs(error),
            "nonzero": nonzero.astype(np.float64),
            "relative_error": (relative := np.divide(np.abs(error), np.abs(y), out=np.zeros_like(y), where=nonzero)),
            # How sure the figures are (confidence.py).
            "squared_relative_error": relative**2,
            "quartic_error": error**4,
            "error_labels": error**2 * centred,
            "error_squared_labels": error**2 * centred**2,
            "cubed_labels": centred**3,
            "quartic_labels": centred**4,
        }
        return Rows(terms, {})

    def value(self, metric: str, sums: Sums, slice_index: int = 0) -> float | None:
        t = {name: float(value[slice_index]) for name, value in sums.terms.items()}
        rows = t["rows"]
        mse, relative = ratio(t["squared_error"], rows), ratio(t["relative_error"], t["nonzero"])
        spread = t["squared_labels"] - t["labels"] ** 2 / rows if rows else 0.0
        constant = spread <= 1e-12 * t["squared_labels"]
        return {
            "rmse": None if mse is None else mse**0.5,
            "mae": ratio(t["absolute_error"], rows),
            "mape": None if relative is None else 100 * relative,
            "r2": None if constant else 1 - t["squared_error"] / spread,
            "bias": ratio(t["error"], rows),
        }[metric]


def loss_against(metric: str, challenger: float, champion: float) -> float:
    """How much worse the challenger is than the champion, in the metric's unit; negative when it is better."""
    if metric in IDEAL:
        return abs(challenger - IDEAL[metric]) - abs(champion - IDEAL[metric])
    return challenger - champion if metric in LOWER_IS_BETTER else champion - challenger


def ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(b, dtype=np.float64), where=b != 0)
