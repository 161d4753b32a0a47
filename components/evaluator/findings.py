"""What is found out about a part of the test split; two of them can be merged, in any order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from components.evaluator.bootstrap import MAX_DRAWN, Pair, PairedSample, priorities
from components.evaluator.metrics import (
    BinaryMetrics,
    MulticlassMetrics,
    RegressionMetrics,
    RowMetrics,
    Sums,
    TaskMetrics,
)
from components.evaluator.ranking import RankingMetrics
from components.evaluator.slices import SlicedSums

# Predictions are summed in larger portions than they are made in: histograms of many slices are costly to add.
_ROWS_PER_SUM = 131_072
_PLACES, _LABELS, _QUERIES = range(3)

Placed = tuple[int, str]


def task_metrics(task: str, classes: int = 0, pivot: float = 0.0, threshold: float = 0.5) -> TaskMetrics:
    """The metrics of a task; each argument is for the one task that knows it."""
    if task == "multiclass":
        return MulticlassMetrics(classes)
    if task == "regression":
        return RegressionMetrics(pivot)
    return RankingMetrics() if task == "ranking" else BinaryMetrics(threshold)


@dataclasses.dataclass
class ModelSums:
    """What was summed of one model's predictions.

    Attributes:
        metrics: of the task, at this model's own decision threshold.
        sums: over all rows with a valid prediction; None before the first.
        invalid_rows: rows whose prediction is not finite or does not fit the task.
    """

    metrics: TaskMetrics
    sums: Sums | None = None
    invalid_rows: int = 0

    def add(self, sums: Sums | None, invalid_rows: int = 0) -> None:
        """Adds what was summed over other rows."""
        self.invalid_rows += invalid_rows
        if sums is not None:
            self.sums = sums if self.sums is None else self.sums + sums


class Findings:
    """Predictions of the challenger and, where there is one, the champion, summed overall and by slice.

    Ranking keeps its rows until the end instead: a query's rows may come from everywhere. A row takes 16 bytes (query,
    relevance, score), 4 more for a champion's score and 2 for each slice column; about 340 while they are ranked.

    Attributes:
        metrics: of the task.
        rows: that were added.
        challenger: what was summed of it.
        champion: what was summed of it, None where there is none or it cannot be compared.
        slices: by column.
        sample: of rows with valid predictions of all models; empty for ranking.
        pair: what challenger and champion are compared on; after `finish`, where there is a champion.
        constant: of ranking, what scores that are all the same come to; None for other tasks.
        not_comparable: why the champion dropped out, with the place where it did.
    """

    def __init__(self, metrics: TaskMetrics, slices: Sequence[str], champion: TaskMetrics | None, seed: int) -> None:
        self.metrics = metrics
        self.rows = 0
        self.challenger = ModelSums(metrics)
        self.champion = ModelSums(champion) if champion else None
        self.slices: Mapping[str, SlicedSums] = {column: SlicedSums(column, metrics) for column in slices}
        self.sample = PairedSample(seed)
        self.pair: Pair | None = None
        self.constant: Sums | None = None
        self.not_comparable: Placed | None = None
        self._seed = seed
        # Parts of (places, labels, queries, code of each slice column..., prediction of each model...).
        self._waiting: list[tuple[np.ndarray, ...]] = []

    def add(
        self,
        places: np.ndarray,
        labels: np.ndarray,
        queries: np.ndarray,
        codes: Sequence[np.ndarray],
        predictions: Sequence[np.ndarray],
    ) -> None:
        """Adds rows.

        Args:
            places: of the rows in the split, [N].
            labels: [N].
            queries: [N]; all 0 where the task has none.
            codes: the slice of each row, [N], for each of `slices`.
            predictions: of the challenger, then of the champion unless it dropped out.
        """
        self.rows += len(labels)
        if self._keeps_rows:
            # A place is not needed: queries are sampled, not rows.
            places, labels = places[:0], labels.astype(np.float32)
            predictions = [found.astype(np.float32, copy=False) for found in predictions]
        self._waiting.append((places, labels, queries, *(code.astype(np.int16) for code in codes), *predictions))
        self._sum_enough()

    def drop_champion(self, place: int, reason: str) -> None:
        """Goes on without the champion."""
        if self.not_comparable is None or place < self.not_comparable[0]:
            self.not_comparable = (place, reason)
        self.champion = None
        self.sample.drop_last_model()
        self._waiting = [part[: self._models + 1] for part in self._waiting]

    def merge(self, other: Findings) -> None:
        """Adds what was found in another part; `other` is of no use afterwards."""
        for one, another in ((self, other), (other, self)):
            if another.not_comparable is not None:
                one.drop_champion(*another.not_comparable)
        self.rows += other.rows
        orders = [mine.merge(theirs) for mine, theirs in zip(self.slices.values(), other.slices.values(), strict=True)]
        for part in other._waiting:
            codes = [order[code] for order, code in zip(orders, part[_QUERIES + 1 : self._models], strict=True)]
            self._waiting.append((*part[: _QUERIES + 1], *codes, *part[self._models :]))
        for mine, theirs in ((self.challenger, other.challenger), (self.champion, other.champion)):
            if mine is not None and theirs is not None:
                mine.add(theirs.sums, theirs.invalid_rows)
        self.sample.merge(other.sample)
        self._sum_enough()

    def finish(self) -> None:
        """Sums what is left; a champion whose predictions do not all fit the task is dropped."""
        self._sum()
        if self.champion is not None and self.champion.invalid_rows:
            self.drop_champion(0, f"{self.champion.invalid_rows:,} of its predictions are not finite or not in range")
        if self.champion is None:
            self.pair = None
        elif isinstance(self.metrics, RowMetrics) and (arrays := self.sample.arrays()):
            labels, ours, theirs = arrays
            assert isinstance(self.champion.metrics, RowMetrics)
            mine, other = self.metrics.prepare(labels, ours), self.champion.metrics.prepare(labels, theirs)
            self.pair = Pair(mine, other, self.sample.rows_seen)

    @property
    def _keeps_rows(self) -> bool:
        return isinstance(self.metrics, RankingMetrics)

    @property
    def _models(self) -> int:
        """Where in a part the predictions begin."""
        return _QUERIES + 1 + len(self.slices)

    def _sum_enough(self) -> None:
        if not self._keeps_rows and sum(len(part[_LABELS]) for part in self._waiting) >= _ROWS_PER_SUM:
            self._sum()

    def _sum(self) -> None:
        if not self._waiting:
            return
        columns = [np.concatenate(arrays) for arrays in zip(*self._waiting, strict=True)]
        self._waiting = []
        codes = [code.astype(np.int64) for code in columns[_QUERIES + 1 : self._models]]  # int16 is only for waiting
        predictions = columns[self._models :]
        valid = [self.metrics.valid(found) for found in predictions]
        models = [self.challenger] if self.champion is None else [self.challenger, self.champion]
        for model, good in zip(models, valid, strict=True):
            model.invalid_rows += int((~good).sum())
        if isinstance(self.metrics, RankingMetrics):
            self._rank(self.metrics, columns, codes, predictions, valid)
            return
        labels = columns[_LABELS]
        for model, found, good in zip(models, predictions, valid, strict=True):
            assert isinstance(model.metrics, RowMetrics)
            rows = model.metrics.prepare(labels[good], found[good])
            model.add(self.metrics.reduce(rows))
            if model is self.challenger:
                for one, code in zip(self.slices.values(), codes, strict=True):
                    one.add(rows, code[good])
        both = np.logical_and.reduce(valid)
        self.sample.add(columns[_PLACES][both], labels[both], *(found[both] for found in predictions))

    def _rank(
        self,
        metrics: RankingMetrics,
        columns: Sequence[np.ndarray],
        codes: Sequence[np.ndarray],
        predictions: Sequence[np.ndarray],
        valid: Sequence[np.ndarray],
    ) -> None:
        labels, queries = columns[_LABELS], columns[_QUERIES]
        good = valid[0]
        ours, chosen = metrics.by_query(labels[good], predictions[0][good], queries[good])
        self.challenger.add(metrics.reduce(ours))
        alike = np.zeros(int(good.sum()), np.float32)
        self.constant = metrics.reduce(metrics.by_query(labels[good], alike, queries[good])[0])
        for one, code in zip(self.slices.values(), codes, strict=True):
            if not one.too_many:
                rows, firsts = metrics.by_query(labels[good], predictions[0][good], queries[good], code[good])
                one.add(rows, code[good][firsts])
        if self.champion is None:
            return
        theirs, _ = metrics.by_query(labels[valid[1]], predictions[1][valid[1]], queries[valid[1]])
        self.champion.add(metrics.reduce(theirs))
        if good.all() and valid[1].all():  # else the champion drops out, or the challenger is refused
            priority = priorities(queries[chosen].view(np.uint64), self._seed)
            drawn = np.sort(np.argsort(priority)[:MAX_DRAWN])
            self.pair = Pair(ours.take(drawn), theirs.take(drawn), len(chosen))
