"""How sure a figure is: what it is at least, and at most, at a level of confidence, from the sums that it is made of.

Closed forms, so that a billion rows cost what ten cost, slices have theirs, and sums of many workers are enough. None of them
has zero width where a small sample happens to be without an error, as a bootstrap or a normal interval has. Each bound is
one-sided: at 0.95 the true value lies below `low` in at most about 5 of 100 samples, and above `high` in as many.

| metric | method |
|---|---|
| accuracy, precision, recall, top_3_accuracy | exact for a proportion (Clopper and Pearson, 1934) |
| judge_accuracy, synthetic_train, real_train | as accuracy |
| f1 | 2J / (1 + J) of the Jaccard proportion J = TP / (TP + FP + FN), exact |
| macro_f1 | of each class as f1, combined by the square-and-add rule (Zou and Donner, 2008) |
| auc | method 5 of Newcombe (2006), with a variance after Hanley and McNeil (1982) |
| auc_pr | exact, as for a proportion of the positives (the binomial interval of Boyd, Eng and Page, 2013) |
| macro_auc, macro_auc_pr and macro_f1 of multilabel | the mean of the classes' bounds: a row's classes are not independent |
| micro_f1 | as f1, of an effective number of pairs (Korn and Graubard, 1998) |
| subset_accuracy; hamming_loss | as accuracy; as ranking |
| miou, dice, pixel_accuracy | shares of pixels, of an effective number of them (Korn and Graubard, 1998); classes as of multilabel |
| rmse, mae, mape, log_loss, r2, calibration | the delta method on the logarithm of a mean or of a ratio of means, with Student's t |
| mse, bce | as log_loss |
| bias, psnr | Student's t |
| ranking | a mean over queries of values from 0 to 1, with pseudo-queries after Agresti and Coull (1998) |
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize, stats


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Confidence bounds of a figure: it is at least `low`, and at most `high`."""

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


def clustered_bounds(
    hits: float,
    wrong: float,
    squared_hits: float,
    squared_wrong: float,
    hits_wrong: float,
    rows: float,
    *,
    level: float,
) -> Bounds:
    """Of the share hits / (hits + wrong) of what rows consist of, such as pixels: those of one row are not independent.

    Exact for as many independent ones as tell as much as these, by the variance of the ratio over rows (Korn and Graubard, 1998,
    "Confidence intervals for proportions with small expected number of positive counts estimated from survey data"); where all are
    hits, or none, as many as there are rows.

    Args:
        squared_hits, squared_wrong, hits_wrong: sums over rows.
        rows: that have any.
    """
    count = hits + wrong
    share = hits / count if count else 0.0
    effective = min(count, rows)
    if 0 < share < 1 and rows > 1:
        squares = squared_hits * (1 - share) ** 2 + squared_wrong * share**2 - 2 * hits_wrong * share * (1 - share)
        variance = squares * rows / (rows - 1) / count**2
        effective = min(count, share * (1 - share) / variance) if variance > 0 else count
    return proportion_bounds(share * effective, effective, level)


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
    error = standard_error(total, squares, rows)
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


def mean_loss(total: float, squares: float, rows: float, level: float, unit: float = 1.0) -> Bounds | None:
    """Of a mean of losses of 0 or more, in units of which `unit` make 1."""
    value, error = total / rows, standard_error(total, squares, rows)
    return positive(value * unit, error / value if error and value else None, rows, level)


def mean_of_parts(parts: Sequence[tuple[float, Bounds]]) -> Bounds:
    """Of the mean of several figures that have bounds: square-and-add (Zou and Donner, 2008)."""
    middle = float(np.mean([value for value, _ in parts]))
    down = math.sqrt(sum((value - found.low) ** 2 for value, found in parts)) / len(parts)
    up = math.sqrt(sum((found.high - value) ** 2 for value, found in parts)) / len(parts)
    return Bounds(max(0.0, middle - down), min(1.0, middle + up))


def standard_error(total: float, squares: float, rows: float) -> float | None:
    """Of a mean; None of a single row, 0 where all values are the same but for rounding."""
    if rows < 2:
        return None
    spread = squares - total**2 / rows
    return math.sqrt(spread / (rows - 1) / rows) if spread > 1e-12 * squares else 0.0


def f1_bounds(hits: float, wrong: float, level: float) -> Bounds:
    """Of 2 hits / (2 hits + wrong), by the share of the hits among both."""
    return f1_of_jaccard(proportion_bounds(hits, hits + wrong, level))


def f1_of_jaccard(found: Bounds) -> Bounds:
    """Of 2J / (1 + J), from those of J."""
    return Bounds(2 * found.low / (1 + found.low), 2 * found.high / (1 + found.high))


def mean_of_bounds(found: Sequence[Bounds]) -> Bounds:
    """Of the mean of several figures that are not independent: their errors may all go the same way."""
    return Bounds(float(np.mean([one.low for one in found])), float(np.mean([one.high for one in found])))


def relative_error(a: float, b: float, aa: float, ab: float, bb: float, rows: float) -> float | None:
    """The standard error of log(a / b), from the means of a, b, a^2, a b and b^2 over rows (delta method)."""
    if rows < 2 or not a or not b:
        return None
    return math.sqrt(max(0.0, aa / a**2 - 2 * ab / (a * b) + bb / b**2) / (rows - 1))


def _root(function: Callable[[float], float], far: float, near: float) -> float:
    inside = near + (far - near) * 1e-12
    if abs(far - near) < 1e-12 or function(inside) >= 0:
        return near
    return float(optimize.brentq(function, far, inside))
