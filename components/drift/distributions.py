"""A column's distribution in a few kilobytes, enough to compare it with another one a year later."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

POINTS = 401
"""Points of a distribution function at most: what is read from it is right within 1 / 400 of the rows."""
KEPT_VALUES = 1_000
"""Values of a column of texts that are kept by name; the rows of rarer ones are kept as one number."""


@dataclasses.dataclass(frozen=True)
class Numbers:
    """The distribution function of numbers.

    Attributes:
        values: rising; float64[n].
        below: share of the rows with at most that value, rising to 1; float64[n].
        missing: rows without a value; NaN counts as missing.
        exact: whether all values are listed; otherwise at most 1 / (POINTS - 1) of the rows lie between two of them.
        mean: of the finite values.
        deviation: their standard deviation.
    """

    values: np.ndarray
    below: np.ndarray
    rows: int
    missing: int
    exact: bool = True
    mean: float = 0.0
    deviation: float = 0.0

    def share_up_to(self, at: np.ndarray) -> np.ndarray:
        """The share of rows up to a value: linear between the points, with a step where many rows share a value."""
        if not self.rows:
            return np.zeros(len(at))
        left = np.searchsorted(self.values, at, side="right") - 1
        found = np.where(left < 0, 0.0, self.below[np.maximum(left, 0)])
        inside = (left >= 0) & (left < len(self.values) - 1)
        if not self.exact and inside.any():
            low = left[inside]
            width = self.values[low + 1] - self.values[low]
            part = (at[inside] - self.values[low]) / width
            # The points are quantiles: a step's rows are at its point, and the rows before it lie between the points.
            found[inside] += part * self._between[low]
        return np.clip(found, 0.0, 1.0)

    def quantile(self, probability: np.ndarray) -> np.ndarray:
        """The smallest value that at least this share of the rows does not exceed."""
        nth = np.searchsorted(self.below, np.asarray(probability) - 1e-12, side="left")
        return self.values[np.minimum(nth, len(self.values) - 1)]

    def histogram(self, buckets: int = 24) -> list[tuple[float, float, float]]:
        """(low, high, rows) of buckets of equal width over the middle 99 % of the rows, so that outliers do not flatten it."""
        low, high = (float(v) for v in self.quantile(np.array([0.005, 0.995]))) if self.rows else (0.0, 0.0)
        if not np.isfinite([low, high]).all() or not self.rows:
            return []
        if low == high:
            return [(low, high, float(self.rows))]
        edges = np.linspace(low, high, buckets + 1)
        up_to = self.share_up_to(edges)
        up_to[0] = self.share_up_to(np.nextafter(edges[:1], -np.inf))[0]
        rows = np.diff(up_to) * self.rows
        return [(float(a), float(b), float(n)) for a, b, n in zip(edges, edges[1:], rows, strict=False)]

    @property
    def _between(self) -> np.ndarray:
        """The share of rows strictly between a point and the next; the rest of the rise is at the next point."""
        rise = np.diff(self.below)
        return np.minimum(rise, 1.0 / (POINTS - 1))

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "values": self.values.tolist(), "below": self.below.tolist()}


@dataclasses.dataclass(frozen=True)
class Categories:
    """The distribution of named values.

    Attributes:
        counts: rows by value, the most frequent ones.
        other: rows with a rarer value.
        distinct: distinct values, including the rarer ones.
    """

    counts: Mapping[str, int]
    other: int
    missing: int
    distinct: int = 0

    @property
    def rows(self) -> int:
        """With a value."""
        return sum(self.counts.values()) + self.other

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


Distribution = Numbers | Categories


def from_json(raw: Mapping[str, Any]) -> Distribution:
    """What `to_json` wrote."""
    if "counts" in raw:
        counts = {str(value): int(rows) for value, rows in raw["counts"].items()}
        return Categories(counts, int(raw["other"]), int(raw["missing"]), int(raw["distinct"]))
    values, below = np.asarray(raw["values"], np.float64), np.asarray(raw["below"], np.float64)
    figures = float(raw["mean"]), float(raw["deviation"])
    return Numbers(values, below, int(raw["rows"]), int(raw["missing"]), bool(raw["exact"]), *figures)


def numbers(column: pa.ChunkedArray | pa.Array) -> Numbers:
    """The distribution of a column of numbers or booleans.

    Args:
        column: any width; nulls and NaN are missing, infinities are values.
    """
    known = column.drop_null()
    values = np.asarray(known.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    values = np.sort(values[~np.isnan(values)])
    rows, missing = len(values), len(column) - len(values)
    if not rows:
        return Numbers(np.zeros(0), np.zeros(0), 0, missing)
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True))  # row of each value
    exact = len(last) <= POINTS
    if not exact:
        wanted = np.linspace(last[0], rows - 1, POINTS).astype(np.int64)
        last = np.unique(last[np.searchsorted(last, wanted)])
    finite = values[np.isfinite(values)]
    mean, deviation = (float(finite.mean()), float(finite.std())) if len(finite) else (0.0, 0.0)
    return Numbers(values[last], (last + 1) / rows, rows, missing, exact, mean, deviation)


def categories(column: pa.ChunkedArray | pa.Array) -> Categories:
    """The distribution of a column's values as names: texts, bytes (UTF-8, else escaped), whole numbers, booleans."""
    counted = pc.value_counts(column.drop_null())
    values, rows = counted.field("values"), np.asarray(counted.field("counts"))
    order = np.argsort(-rows, kind="stable")[:KEPT_VALUES]
    kept = {_name(values[int(i)].as_py()): int(rows[i]) for i in order}
    return Categories(kept, int(rows.sum()) - sum(kept.values()), column.null_count, len(rows))


def _name(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
