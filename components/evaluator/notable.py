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

    def add(self, places: np.ndarray, truths: np.ndarray, answers: Tensors, judged: np.ndarray) -> None:
        """Adds rows: their places in the split [N], truths [N, ...], all that the model answered and what of it is judged."""
        if not self._task.gallery_rows:
            return
        found = {"place": places, "truth": truths, **{f"answer {name}": one for name, one in answers.items()}}
        found = _chosen(found, self._task.valid(judged))
        _, truths, answers = _parts(found)
        interest = self._task.interest(truths, answers)
        self._keep(_chosen({"interest": interest, **found}, interest > -np.inf))

    def merge(self, other: NotableRows) -> None:
        """Adds what stayed of other rows."""
        if other._kept:
            self._keep(other._kept)

    def rows(self) -> tuple[np.ndarray, np.ndarray, Tensors]:
        """Places, truths and answers of what stayed, the most interesting first; empty where nothing did."""
        return _parts(self._kept) if self._kept else (np.zeros(0, np.int64), np.zeros(0), {})

    def _keep(self, found: dict[str, np.ndarray]) -> None:
        if self._kept:
            found = {name: np.concatenate([self._kept[name], values]) for name, values in found.items()}
        order = np.lexsort((priorities(found["place"], self._seed), -found["interest"]))
        self._kept = _chosen(found, order[: self._task.gallery_rows])


def _chosen(rows: dict[str, np.ndarray], which: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[which] for name, values in rows.items()}


def _parts(rows: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, Tensors]:
    answers = {name.removeprefix("answer "): one for name, one in rows.items() if name.startswith("answer ")}
    return rows["place"], rows["truth"], answers
