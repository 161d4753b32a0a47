"""Rows of two classes counted by score, and the areas under their curves."""

from __future__ import annotations

import dataclasses

from components.tasks._lazily import np
from components.tasks._sums import divide


@dataclasses.dataclass(frozen=True)
class ScoreCounts:
    """How many rows of two classes have which score.

    Attributes:
        thresholds: rising, [T].
        false_positives: at each threshold, [T], falling.
        true_positives: at each threshold, [T], falling.
        histogram: rows by class and by the interval between thresholds, [2, T + 1].
    """

    thresholds: np.ndarray
    false_positives: np.ndarray
    true_positives: np.ndarray
    histogram: np.ndarray


def area(counts: ScoreCounts) -> float | None:
    """Under the ROC curve; None where there is one class only."""
    negatives, positives = counts.false_positives[0], counts.true_positives[0]
    if not negatives or not positives:
        return None
    fpr, tpr = counts.false_positives / negatives, counts.true_positives / positives
    return float(np.sum((fpr[:-1] - fpr[1:]) * (tpr[:-1] + tpr[1:]) / 2))


def area_of_precision(counts: ScoreCounts) -> float | None:
    """Under precision over recall, interpolated as Davis and Goadrich (2006) do: true positives linearly, precision with them."""
    fp, tp = counts.false_positives, counts.true_positives
    positives = tp[0]
    if not positives or not fp[0]:
        return None
    called = tp + fp
    d_tp, d_called = tp[:-1] - tp[1:], called[:-1] - called[1:]
    slope = divide(d_tp, d_called)
    intercept = tp[1:] - slope * called[1:]
    both = (called[:-1] > 0) & (called[1:] > 0)
    quotient = np.where(both, divide(called[:-1], called[1:]), 1.0)
    gains = divide(slope * (d_tp + intercept * np.log(quotient)), np.full_like(tp[1:], positives))
    return float(gains.sum())
