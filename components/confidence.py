"""Confidence bounds of a proportion and of the area under the ROC curve, that stay wide where a small sample has no error."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from scipy import optimize, stats


@dataclasses.dataclass(frozen=True)
class Bounds:
    """One-sided confidence bounds of a figure: it is at least `low`, and at most `high`."""

    low: float
    high: float


def proportion_bounds(hits: float, rows: float, level: float) -> Bounds:
    """Of a share of rows; exact for whole numbers (Clopper and Pearson, 1934)."""
    low = stats.beta.ppf(1 - level, hits, rows - hits + 1) if hits > 0 else 0.0
    high = stats.beta.ppf(level, hits + 1, rows - hits) if hits < rows else 1.0
    return Bounds(float(low), float(high))


def area_bounds(value: float, positives: float, negatives: float, level: float) -> Bounds:
    """Of the area under the ROC curve: method 5 of Newcombe (2006).

    The bound is where the found area is just as far away as chance takes it there. At an area of 1 the variance is 0, at the
    bound it is not, so that the interval of a model without a mistake has a width. DeLong's and the bootstrap's have none.
    """
    if positives < 1 or negatives < 1:
        return Bounds(0.0, 1.0)
    size = (positives + negatives) / 2 - 1
    z = stats.norm.ppf(level)

    def spread(at: float) -> float:
        variance = at * (1 - at) * (1 + size * (1 - at) / (2 - at) + size * at / (1 + at)) / (positives * negatives)
        return float(z * math.sqrt(max(0.0, variance)))

    # Of the two ends of a bracket one is where nothing is left of the area, the other all but the found one.
    low = _root(lambda at: value - at - spread(at), 0.0, value)
    high = _root(lambda at: at - value - spread(at), 1.0, value)
    return Bounds(low, high)


def _root(function: Callable[[float], float], far: float, near: float) -> float:
    inside = near + (far - near) * 1e-12
    if abs(far - near) < 1e-12 or function(inside) >= 0:
        return near
    return float(optimize.brentq(function, far, inside))
