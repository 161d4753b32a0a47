"""TFDV's histograms of equally wide buckets, computed for all buckets of a column at a time.

TFDV 1.21 makes a message of each of a thousand quantiles, and a Python call for each of them in each bucket: 4 ms a column,
four fifths of what statistics of many columns and few rows take. The arithmetic here is the same, in the same order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from tensorflow_data_validation.utils import quantiles_util
from tensorflow_metadata.proto.v0 import statistics_pb2

Floats = npt.NDArray[np.float64]


@contextlib.contextmanager
def quick_histograms() -> Iterator[None]:
    """Meanwhile TFDV's generators take `equi_width_histogram` for theirs."""
    theirs = quantiles_util.generate_equi_width_histogram
    quantiles_util.generate_equi_width_histogram = equi_width_histogram
    try:
        yield
    finally:
        quantiles_util.generate_equi_width_histogram = theirs


def equi_width_histogram(
    quantiles: Floats,
    cumulative_counts: Floats,
    finite_min: float,
    finite_max: float,
    num_buckets: int,
    num_pos_inf: float,
) -> statistics_pb2.Histogram:
    """What `quantiles_util.generate_equi_width_histogram` makes of the same, bit for bit; of rows without weights.

    Args:
        quantiles: rising; [n].
        cumulative_counts: of the values up to each of them, whole numbers; [n].
        finite_min: the least finite value; infinite where there is none.
        finite_max: the greatest.
        num_buckets: of finite values.
        num_pos_inf: how many values are positive infinity.
    """
    result = statistics_pb2.Histogram(type=statistics_pb2.Histogram.STANDARD)

    def add(low: float, high: float, count: float) -> None:
        result.buckets.add(low_value=low, high_value=high, sample_count=count)

    if not np.isfinite([finite_min, finite_max]).any():
        add(finite_min, finite_max, cumulative_counts[-1])
        return result
    quantiles, cumulative_counts, num_neg_inf = quantiles_util._strip_infinities(
        quantiles, cumulative_counts, finite_max, num_pos_inf
    )
    steps = 1 if finite_min == finite_max else num_buckets
    edges = np.linspace(finite_min, finite_max, steps + 1)
    if not np.isfinite(edges).all():
        return result  # their difference overflowed
    if num_neg_inf:
        add(-np.inf, -np.inf, num_neg_inf)
    counts = _shares(quantiles, edges) * _counts(quantiles, cumulative_counts)
    # Added up one after the other, not in pairs as `sum` does it: it rounds otherwise.
    for low, high, running in zip(edges, edges[1:], np.cumsum(counts, axis=1), strict=False):
        add(low, high, running[-1] if len(running) else 0.0)
    if num_pos_inf:
        add(np.inf, np.inf, num_pos_inf)
    return result


def _shares(quantiles: Floats, edges: Floats) -> Floats:
    """How much of each interval between quantiles lies in each bucket, [buckets, intervals]; values are spread evenly."""
    low, high = quantiles[:-1], quantiles[1:]
    left, right = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    with np.errstate(all="ignore"):  # points have no width; they are inside or outside
        shares = (np.minimum(high, right) - np.maximum(low, left)) / (high - low)
    shares[(left <= low) & (high <= right)] = 1.0
    shares[(high < left) | (right < low)] = 0.0
    # A point on the edge between two buckets is in the first of them.
    shares[1:][((low == high) & (low == left))[1:]] = 0.0
    return shares


def _counts(quantiles: Floats, cumulative_counts: Floats) -> Floats:
    """Values in each interval, [intervals]; those of intervals that end at the same value are spread evenly over them."""
    low, high = quantiles[:-1], quantiles[1:]
    counts = np.diff(cumulative_counts.astype(np.float64))
    if not len(counts):
        return counts
    starts = np.flatnonzero(np.append(True, high[1:] != high[:-1]))
    lengths = np.diff(np.append(starts, len(high)))
    counts = np.repeat(np.add.reduceat(counts, starts) / lengths, lengths)
    # The values that are the least one lie in the first interval, or in those that are the same as it.
    first = (low[: lengths[0]] == low[0]).sum()
    counts[:first] += cumulative_counts[0] / first
    return counts
