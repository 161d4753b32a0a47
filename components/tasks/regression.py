"""A number, in the label's own unit."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from components.tasks._context import Context
from components.tasks._drafts import Draft, LabelColumn
from components.tasks._lazily import confidence, np, pa, pc
from components.tasks._numbers import NumberTask
from components.tasks._sums import MergeableSums, UnitTerms, Values, ratio
from components.tasks._views import View
from spec.errors import InputError
from spec.metrics import BIAS, MAE, MAPE, R2, RMSE

if TYPE_CHECKING:
    from components.confidence import Bounds
    from spec.section import Section

_RESIDUAL_BINS = 40
_RESIDUALS = "Prediction less truth: right of the dashed line the model predicts too much. The line itself is a perfect prediction."
_LONG_TAIL = 1.0  # skewness, and more
_MOST_ZEROS = 0.05
_MOST_EPOCHS = 50
_LABEL_SCALE = """
  # It learns log(1 + label), which has no long tail; answers and metrics are in the label's own unit.
  label_scale: log"""


class Regression(NumberTask):
    """Labels and predictions are numbers in the label's unit.

    Args:
        pivot: a number near the labels, subtracted before squares are summed: r2 then keeps its digits for labels such
            as timestamps. The same for all sums that are to be merged.
    """

    name = "regression"
    metrics = (RMSE, MAE, MAPE, R2, BIAS)
    takes_label_scale = True
    takes_teacher = True
    views = (View("histogram", "Residuals", _RESIDUALS, key="residuals"),)

    def __init__(
        self,
        classes: Sequence[str] = (),
        threshold: float = 0.5,
        options: Section | Mapping[str, Any] | None = None,
        pivot: float = 0.0,
    ) -> None:
        super().__init__(classes, threshold, options)
        self.pivot = pivot

    def prepare(self, context: Context) -> Self:
        """The pivot is the mean of the first labels: near to all of them, and the same for every worker."""
        assert context.label is not None
        prepared = copy.copy(self)
        prepared.pivot = float(np.mean(self.truths(next(context.test([context.label])), context.label)))
        return prepared

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        y = truths.astype(np.float64)
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
            # How sure the figures are (`bounds_of`).
            "squared_relative_error": relative**2,
            "quartic_error": error**4,
            "error_labels": error**2 * centred,
            "error_squared_labels": error**2 * centred**2,
            "cubed_labels": centred**3,
            "quartic_labels": centred**4,
        }
        return UnitTerms(terms)

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        t = sums.of(slice_index)
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

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        t = sums.of(slice_index)
        if metric == "rmse":
            found = confidence.mean_loss(t["squared_error"], t["quartic_error"], t["rows"], level)
            return found and confidence.Bounds(math.sqrt(found.low), math.sqrt(found.high))
        if metric == "mae":
            return confidence.mean_loss(t["absolute_error"], t["squared_error"], t["rows"], level)
        if metric == "mape":
            return confidence.mean_loss(t["relative_error"], t["squared_relative_error"], t["nonzero"], level, 100.0)
        return _r2(t, level) if metric == "r2" else confidence.mean(t["error"], t["squared_error"], t["rows"], level)

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        labels = truths.astype(np.float64)
        rows, total, squares = (float(sums.terms[name][0]) for name in ("rows", "labels", "squared_labels"))
        if not rows or not len(labels):
            return super().trivial(sums, truths)
        nonzero = np.sort(labels[labels != 0])
        return {
            "rmse": float(np.sqrt(max(0.0, squares / rows - (total / rows) ** 2))),
            "mae": float(np.abs(labels - np.median(labels)).mean()),
            "mape": float(100 * np.abs(1 - _relative_median(nonzero) / nonzero).mean()) if len(nonzero) else None,
            "r2": 0.0,
            "bias": 0.0,
        }

    def charts(self, sums: MergeableSums, sample: Sequence[np.ndarray], rows: int) -> dict[str, Any]:
        """Prediction minus label, within the central 99%; rows beyond are counted in the outermost bins."""
        if not sample or not len(sample[0]):
            return {}
        error = sample[1].astype(np.float64) - sample[0]
        low, high = np.quantile(error, [0.005, 0.995])
        if low == high:
            low, high = low - 0.5, high + 0.5
        counts, edges = np.histogram(np.clip(error, low, high), bins=_RESIDUAL_BINS, range=(low, high))
        scaled = np.rint(counts * (rows / len(error))).astype(int)
        return {"residuals": {"edges": edges.tolist(), "counts": scaled.tolist()}}

    @classmethod
    def guess(cls, label: LabelColumn) -> str:
        return f"the label is a number with {label.distinct:,} values" if label.is_number else ""

    @classmethod
    def draft(cls, label: LabelColumn, positive: str | None = None) -> Draft:
        if not label.is_number:
            received = label.values[0].as_py()
            raise InputError(f"--task regression: the label {label.name!r} must be a number. Received: {received!r}.")
        values = label.values.cast(pa.float64(), safe=False)
        numbers = values.to_numpy()
        if np.isinf(numbers).any():
            raise InputError(f"label {label.name!r}: holds an infinite number. Remove those rows.")
        mean, std = pc.mean(values).as_py(), pc.stddev(values).as_py()
        story = [f"{label.name!r}: mean {mean:.4g}; always saying that has an RMSE of {std:.4g}"]
        if long_tail := has_long_tail(numbers):
            story.append(
                f"{label.name!r} has a long tail: its logarithm is learnt, and answers are in its own unit "
                "(workload.yaml, training.label_scale)"
            )
        most = std * (1 - min(0.5, 1 / math.sqrt(2 * label.test_rows)))
        return Draft(
            label.name,
            cls.name,
            "FLOAT",
            story=tuple(story),
            trivial=f"Always saying the mean ({mean:.4g}) has an RMSE of {std:.4g}.",
            test_rows=label.test_rows,
            bars=(f"{{metric: rmse, max: {float(f'{most:.3g}')!r}}}",),
            max_loss=float(f"{min(0.5, label.chance) * std:.2g}"),
            most_epochs=_MOST_EPOCHS,
            training=_LABEL_SCALE if long_tail else "",
            hyperparameters={"dropout": 0.0},  # what it leaves out at random shifts an amount, and moves no class
        )


def _relative_median(labels: np.ndarray) -> float:
    """The answer of the least relative error: the median, each label weighed by one over its size."""
    weights = np.cumsum(1 / np.abs(labels))
    return float(labels[np.searchsorted(weights, weights[-1] / 2)])


def _r2(t: dict[str, float], level: float) -> Bounds | None:
    """One minus the ratio of two means: of the squared error, and of the label's squared distance from its mean."""
    n = t["rows"]
    m1, m2, m3, m4 = (t[name] / n for name in ("labels", "squared_labels", "cubed_labels", "quartic_labels"))
    spread, error = m2 - m1**2, t["squared_error"] / n
    fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    both = (t["error_squared_labels"] - 2 * m1 * t["error_labels"] + m1**2 * t["squared_error"]) / n
    relative = confidence.relative_error(error, spread, t["quartic_error"] / n, both, fourth, n)
    found = confidence.positive(error / spread, relative, n, level)
    return found and confidence.Bounds(1 - found.high, 1 - found.low)


def has_long_tail(values: np.ndarray) -> bool:
    """Whether amounts are better learnt as log(1 + amount): none below zero, hardly any zero, far more skewed than their logarithms.

    Where many are zero, the logarithm has two humps, and its middle says nothing of the amounts.
    """
    if values.min() < 0 or (values == 0).mean() > _MOST_ZEROS:
        return False
    skewness = _skewness(values)
    return bool(skewness > _LONG_TAIL and abs(_skewness(np.log1p(values))) < skewness / 2)


def _skewness(values: np.ndarray) -> float:
    """The third standardised moment: 0 for what is symmetric, 2 for an exponential distribution."""
    deviation = values.std()
    return float((((values - values.mean()) / deviation) ** 3).mean()) if deviation else 0.0
