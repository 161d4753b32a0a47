"""Metrics as sums that can be merged: over batches, over Beam's workers, over slices."""

from __future__ import annotations

import dataclasses

from components.tasks._lazily import np

Values = dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class UnitTerms:
    """Judged units, rows or the groups of a query, reduced to what the metrics need.

    Attributes:
        terms: by name, a number or an array for each unit, [N, ...]; summed per slice. `rows` is always among them.
        cells: by name, the index of each unit's cell in a histogram, [N], or of its cells, [N, m] (-1: none); counted per slice.
    """

    terms: dict[str, np.ndarray]
    cells: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def take(self, index: np.ndarray) -> UnitTerms:
        """Some of the units."""
        terms = {name: value[index] for name, value in self.terms.items()}
        return UnitTerms(terms, {name: cell[index] for name, cell in self.cells.items()})


@dataclasses.dataclass
class MergeableSums:
    """Sums over the units of K slices; `a + b` are the sums over the units of both.

    Attributes:
        terms: by name, [K, ...].
        cells: by name, [K, number of cells].
    """

    terms: dict[str, np.ndarray]
    cells: dict[str, np.ndarray]

    def __add__(self, other: MergeableSums) -> MergeableSums:
        """Both must be of the same task; the one with fewer slices is taken to have seen none of the others."""
        slices = max(len(self), len(other))
        mine, theirs = self.padded(slices), other.padded(slices)
        return MergeableSums(
            {name: value + theirs.terms[name] for name, value in mine.terms.items()},
            {name: value + theirs.cells[name] for name, value in mine.cells.items()},
        )

    def __len__(self) -> int:
        return len(self.terms["rows"])

    def padded(self, slices: int) -> MergeableSums:
        """The same sums with room for so many slices; the new ones are empty."""
        return self.moved(np.arange(len(self)), slices) if slices > len(self) else self

    def moved(self, places: np.ndarray, slices: int) -> MergeableSums:
        """The same sums, each slice at its place among so many."""
        return MergeableSums(
            {name: _scattered(value, places, slices) for name, value in self.terms.items()},
            {name: _scattered(value, places, slices) for name, value in self.cells.items()},
        )

    def of(self, slice_index: int = 0) -> dict[str, float]:
        """The terms of one slice that are single numbers."""
        return {name: float(value[slice_index]) for name, value in self.terms.items() if value.ndim == 1}


def ratio(numerator: float, denominator: float) -> float | None:
    """None where there is nothing to divide by."""
    return numerator / denominator if denominator else None


def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(b, dtype=np.float64), where=b != 0)


def weighted(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return values if weights is None else values * weights.reshape(-1, *[1] * (values.ndim - 1))


def by_slice(values: np.ndarray, slices: np.ndarray, count: int) -> np.ndarray:
    if values.ndim == 1:
        return np.bincount(slices, weights=values, minlength=count)
    columns = values.reshape(len(values), -1).T
    sums = [np.bincount(slices, weights=column, minlength=count) for column in columns]
    return np.stack(sums, axis=1).reshape(count, *values.shape[1:])


def counted(
    slices: np.ndarray | int, cells: np.ndarray, width: int, weights: np.ndarray | None, length: int
) -> np.ndarray:
    """How often each cell of each slice's histogram of so many cells is hit, flat."""
    flat = np.asarray(slices)
    if cells.ndim > 1:
        there = cells >= 0
        flat = np.broadcast_to(flat[..., np.newaxis], cells.shape)[there]
        weights = None if weights is None else np.broadcast_to(weights[:, np.newaxis], cells.shape)[there]
        cells = cells[there]
    return np.bincount(flat * width + cells, weights=weights, minlength=length)


def _scattered(values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    moved = np.zeros((count, *values.shape[1:]))
    moved[places] = values
    return moved
