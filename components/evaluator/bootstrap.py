"""How sure the difference between challenger and champion is."""

from __future__ import annotations

import dataclasses

import numpy as np

from components.confidence import Bounds
from components.tasks import Task, UnitTerms

# Enough for an interval whose own error is that of 200 draws; five times as many rows take five times as long.
MAX_DRAWN = 20_000
_MAX_NUMBERS = 4_000_000


def priorities(numbers: np.ndarray, seed: int) -> np.ndarray:
    """A random uint64 for each number: the same for the same number and seed, on every worker.

    SplitMix64 (Steele, Lea and Flood, 2014), which maps different numbers to different ones.
    """
    start = (seed * 0xD1342543DE82EF95 + 0x9E3779B97F4A7C15) % 2**64
    mixed = numbers.astype(np.uint64) + np.uint64(start)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


class PairedSample:
    """A uniform sample of rows with what each model answered; two of them can be merged.

    Each row has a random number by its place in the split, and those with the smallest stay: the sample does not depend on how
    the rows were divided into batches or among workers, nor its size on how many there are.
    """

    def __init__(self, seed: int) -> None:
        self.rows_seen = 0
        self._seed = seed
        self._parts: list[tuple[np.ndarray, ...]] = []

    def add(self, places: np.ndarray, labels: np.ndarray, *predictions: np.ndarray) -> None:
        """Adds rows: their places in the split [N], labels [N], and each model's predictions, [N] or [N, C]."""
        self.rows_seen += len(labels)
        self._parts.append((priorities(places, self._seed), labels, *predictions))
        if sum(len(part[0]) for part in self._parts) > 2 * self._limit():
            self._shrink()

    def merge(self, other: PairedSample) -> None:
        """Adds another sample's rows; both must be of the same models."""
        self.rows_seen += other.rows_seen
        self._parts += other._parts
        self._shrink()

    def drop_last_model(self) -> None:
        """Forgets the predictions of the model that was added last, where there are two."""
        self._parts = [part[:3] for part in self._parts]

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Labels and predictions of the rows that stayed, always in the same order."""
        self._shrink()
        if not self._parts:
            return ()
        order = np.argsort(self._parts[0][0])
        return tuple(array[order] for array in self._parts[0][1:])

    def _limit(self) -> int:
        width = sum(int(np.prod(a.shape[1:])) for a in self._parts[0])
        return max(1, min(MAX_DRAWN, _MAX_NUMBERS // width))

    def _shrink(self) -> None:
        if not self._parts:
            return
        whole = tuple(np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        limit = self._limit()
        if len(whole[0]) > limit:
            chosen = np.argpartition(whole[0], limit)[:limit]
            whole = tuple(array[chosen] for array in whole)
        self._parts = [whole]


@dataclasses.dataclass(frozen=True)
class Pair:
    """What both models came to on the same units: rows, or queries for ranking.

    Attributes:
        seen: of how many units these are a sample.
    """

    ours: UnitTerms
    theirs: UnitTerms
    seen: int


def paired_interval(task: Task, metric: str, pair: Pair, difference: float, resamples: int, seed: int) -> Bounds | None:
    """The percentile bootstrap, at 95 %, of the difference of two models on the same rows, or on the same queries.

    Units are drawn with replacement, and both models are measured on the same draw: what makes a draw hard is hard for
    both, so the interval is much narrower than two separate ones. From a sample of a larger evaluation the spread is
    scaled by the root of its share (m-out-of-n bootstrap).

    Args:
        difference: over all units.

    Returns:
        None where too few draws have a defined metric.
    """
    count = len(pair.ours.terms["rows"])

    def measured(weights: np.ndarray) -> float | None:
        mine, other = (task.value(metric, task.reduce(r, weights=weights)) for r in (pair.ours, pair.theirs))
        return None if mine is None or other is None else mine - other

    centre = measured(np.ones(count))
    if centre is None:
        return None
    random = np.random.default_rng(seed)
    draws = (measured(_draw(random, count)) for _ in range(resamples))
    found = np.array([draw for draw in draws if draw is not None])
    if len(found) < max(2, resamples // 2):
        return None
    low, high = (np.quantile(found, [0.025, 0.975]) - centre) * np.sqrt(count / pair.seen)
    return Bounds(difference + float(low), difference + float(high))


def _draw(random: np.random.Generator, count: int) -> np.ndarray:
    """How often each unit is drawn, [N], when N units are drawn with replacement."""
    return np.bincount(random.integers(0, count, count), minlength=count).astype(np.float64)
