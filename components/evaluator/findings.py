"""What is found out about a part of the test split; two of them can be merged, in any order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from components.evaluator.bootstrap import MAX_DRAWN, Pair, PairedSample, priorities
from components.evaluator.notable import NotableRows
from components.evaluator.slices import SlicedSums
from components.gates import CheckResult
from components.tasks import MergeableSums, Task, Values

# Predictions are summed in larger portions than they are made in: histograms of many slices are costly to add.
_ROWS_PER_SUM = 131_072
_BYTES_PER_SUM = 2**28  # where a row is a picture
_PLACES, _TRUTHS, _GROUPS = range(3)

Placed = tuple[int, str]


@dataclasses.dataclass
class ModelSums:
    """What was summed of one model's predictions.

    Attributes:
        task: prepared for this model, at its own decision threshold.
        sums: over all rows with a valid prediction; None before the first.
        invalid_rows: rows whose prediction is not finite or does not fit the task.
    """

    task: Task
    sums: MergeableSums | None = None
    invalid_rows: int = 0

    def add(self, sums: MergeableSums | None, invalid_rows: int = 0) -> None:
        """Adds what was summed over other rows."""
        self.invalid_rows += invalid_rows
        if sums is not None:
            self.sums = sums if self.sums is None else self.sums + sums


class Findings:
    """Predictions of the challenger and, where there is one, the champion, summed overall and by slice.

    A task that judges by groups keeps its rows until the end instead: a group's rows may come from everywhere. A row takes 12 bytes
    for group and truth, 4 for each number that the task keeps of its prediction, as many for a champion's, and 2 for each slice
    column; about 340 while they are ranked.

    Attributes:
        task: of the challenger.
        challenger: what was summed of it.
        champion: what was summed of it, None where there is none or it cannot be compared.
        slices: by column.
        sample: of rows with valid predictions of all models; empty for tasks with a query.
        notable: rows that the report shows one by one.
        pair: what challenger and champion are compared on; after `finish`, where there is a champion.
        constant: what a model comes to that knows nothing; None for tasks that judge rows.
        not_comparable: why the champion dropped out, with the place where it did.
        model_checks: what the task says of the challenger besides its metrics.
    """

    def __init__(self, task: Task, slices: Sequence[str], champion: Task | None, seed: int) -> None:
        self.task = task
        self.rows = 0
        self.challenger = ModelSums(task)
        self.champion = ModelSums(champion) if champion else None
        self.slices: Mapping[str, SlicedSums] = {column: SlicedSums(column, task) for column in slices}
        self.sample = PairedSample(seed)
        self.notable = NotableRows(task, seed)
        self.pair: Pair | None = None
        self.constant: MergeableSums | None = None
        self.not_comparable: Placed | None = None
        self.model_checks: Sequence[CheckResult] = ()
        self._seed = seed
        # Parts of (places, truths, groups, code of each slice column..., prediction of each model...).
        self._waiting: list[tuple[np.ndarray, ...]] = []

    def add(
        self,
        places: np.ndarray,
        truths: np.ndarray,
        groups: np.ndarray,
        codes: Sequence[np.ndarray],
        predictions: Sequence[np.ndarray],
    ) -> None:
        """Adds rows.

        Args:
            places: of the rows in the split, [N].
            truths: [N, ...].
            groups: [N]; all 0 where the task has none.
            codes: the slice of each row, [N], for each of `slices`.
            predictions: of the challenger, then of the champion unless it dropped out.
        """
        self.rows += len(truths)
        if self.task.by_groups:
            predictions = [self.task.kept(truths, found, groups) for found in predictions]
            # A place is not needed: groups are sampled, not rows.
            places, truths = places[:0], truths.astype(np.float32)
            predictions = [found.astype(np.float32, copy=False) for found in predictions]
        self._waiting.append((places, truths, groups, *(code.astype(np.int16) for code in codes), *predictions))
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
            codes = [order[code] for order, code in zip(orders, part[_GROUPS + 1 : self._models], strict=True)]
            self._waiting.append((*part[: _GROUPS + 1], *codes, *part[self._models :]))
        for mine, theirs in ((self.challenger, other.challenger), (self.champion, other.champion)):
            if mine is not None and theirs is not None:
                mine.add(theirs.sums, theirs.invalid_rows)
        self.sample.merge(other.sample)
        self.notable.merge(other.notable)
        self._sum_enough()

    def finish(self) -> None:
        """Sums what is left; a champion whose predictions do not all fit the task is dropped."""
        self._sum()
        if self.champion is not None and self.champion.invalid_rows:
            self.drop_champion(0, f"{self.champion.invalid_rows:,} of its predictions are not finite or not in range")
        if self.champion is None:
            self.pair = None
        elif arrays := self.sample.arrays():
            truths, ours, theirs = arrays
            mine, other = self.task.terms(truths, ours), self.champion.task.terms(truths, theirs)
            self.pair = Pair(mine, other, self.sample.rows_seen)

    def trivial(self) -> Values:
        """The metrics of a model that ignores its inputs."""
        sums = self.constant or self.challenger.sums
        assert sums is not None
        truths, *_ = self.sample.arrays() or (np.zeros(0),)
        return self.task.trivial(sums, truths)

    @property
    def _models(self) -> int:
        """Where in a part the predictions begin."""
        return _GROUPS + 1 + len(self.slices)

    def _sum_enough(self) -> None:
        if self.task.by_groups:
            return
        rows = sum(len(part[_TRUTHS]) for part in self._waiting)
        if rows >= _ROWS_PER_SUM or sum(array.nbytes for part in self._waiting for array in part) >= _BYTES_PER_SUM:
            self._sum()

    def _sum(self) -> None:
        if not self._waiting:
            return
        columns = [np.concatenate(arrays) for arrays in zip(*self._waiting, strict=True)]
        self._waiting = []
        codes = [code.astype(np.int64) for code in columns[_GROUPS + 1 : self._models]]  # int16 is only for waiting
        predictions = columns[self._models :]
        valid = [self.task.valid(found) for found in predictions]
        models = [self.challenger] if self.champion is None else [self.challenger, self.champion]
        for model, good in zip(models, valid, strict=True):
            model.invalid_rows += int((~good).sum())
        if self.task.by_groups:
            self._sum_groups(columns, codes, predictions, valid)
            return
        truths = columns[_TRUTHS]
        for model, found, good in zip(models, predictions, valid, strict=True):
            rows = model.task.terms(truths[good], found[good])
            model.add(model.task.reduce(rows))
            if model is self.challenger:
                for one, code in zip(self.slices.values(), codes, strict=True):
                    one.add(rows, code[good])
        both = np.logical_and.reduce(valid)
        self.sample.add(columns[_PLACES][both], truths[both], *(found[both] for found in predictions))

    def _sum_groups(
        self,
        columns: Sequence[np.ndarray],
        codes: Sequence[np.ndarray],
        predictions: Sequence[np.ndarray],
        valid: Sequence[np.ndarray],
    ) -> None:
        task, good = self.task, valid[0]
        truths, groups, found = (values[good] for values in (columns[_TRUTHS], columns[_GROUPS], predictions[0]))
        ours, chosen = task.group_terms(truths, found, groups)
        self.challenger.add(task.reduce(ours))
        self.constant = task.reduce(task.group_terms(truths, task.constant(found), groups)[0])
        for one, code in zip(self.slices.values(), codes, strict=True):
            if not one.too_many:
                units, firsts = task.group_terms(truths, found, groups, code[good])
                one.add(units, code[good][firsts])
        if self.champion is None:
            return
        sound = valid[1]
        theirs, _ = self.champion.task.group_terms(
            columns[_TRUTHS][sound], predictions[1][sound], columns[_GROUPS][sound]
        )
        self.champion.add(self.champion.task.reduce(theirs))
        if good.all() and sound.all():  # else the champion drops out, or the challenger is refused
            priority = priorities(groups[chosen].view(np.uint64), self._seed)
            drawn = np.sort(np.argsort(priority)[:MAX_DRAWN])
            self.pair = Pair(ours.take(drawn), theirs.take(drawn), len(chosen))
