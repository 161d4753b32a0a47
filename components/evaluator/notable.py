"""The rows that a report shows one by one."""

from __future__ import annotations

import numpy as np

from components.evaluator.bootstrap import priorities
from components.tasks import Task, Tensors


class NotableRows:
    """Of the rows that were judged those in which the task says there is the most interest; two of them can be merged.

    Among rows of the same interest chance chooses, by their places in the split: however the rows were divided into batches or
    among workers, the same ones stay.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        self._seed = seed
        self._kept: dict[str, np.ndarray] = {}

    def add(self, places: np.ndarray, truths: np.ndarray, answers: Tensors) -> None:
        """Adds rows: their places in the split [N], truths [N, ...], and what the model answered, [N, ...] each."""
        if not self._task.gallery_rows or not len(places):
            return
        interest = self._task.interest(truths, answers)
        found = {"interest": interest, "place": places, "truth": truths}
        found |= {f"answer {name}": values for name, values in answers.items()}
        self._keep({name: values[interest > -np.inf] for name, values in found.items()})

    def merge(self, other: NotableRows) -> None:
        """Adds what stayed of other rows."""
        if other._kept:
            self._keep(other._kept)

    def rows(self) -> tuple[np.ndarray, np.ndarray, Tensors]:
        """Places, truths and answers of what stayed, the most interesting first; empty arrays where nothing did."""
        if not self._kept:
            return np.zeros(0, np.int64), np.zeros(0), {}
        answers = {name[len("answer ") :]: values for name, values in self._kept.items() if name.startswith("answer ")}
        return self._kept["place"], self._kept["truth"], answers

    def _keep(self, found: dict[str, np.ndarray]) -> None:
        both = (
            {name: np.concatenate([self._kept[name], values]) for name, values in found.items()}
            if self._kept
            else found
        )
        order = np.lexsort((priorities(both["place"], self._seed), -both["interest"]))[: self._task.gallery_rows]
        self._kept = {name: values[order] for name, values in both.items()}
