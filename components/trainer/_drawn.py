"""Other items beside the rows of a batch: wrong answers that the batch itself would hardly have."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.tasks import DRAWN
from components.trainer._input import Split
from spec.errors import InputError


class DrawnItems:
    """The items of train, each once, to be drawn from evenly.

    Args:
        features: of the items, [M, ...] by name.
        count: how many are drawn for a row.
    """

    def __init__(self, features: dict[str, npt.NDArray[Any]], count: int) -> None:
        self._count, self._items = count, len(next(iter(features.values())))
        self._features = {name: tf.constant(values) for name, values in features.items()}

    @classmethod
    def of(cls, train: Split, item: str, count: int) -> Self:
        """Of each item the features of its first row.

        Args:
            item: the feature of its id.

        Raises:
            InputError: features are made batch by batch.
        """
        if train.late:
            raise InputError(
                "task_options.negatives: items cannot be drawn whose features `late_fn` makes. Make them in preprocessing_fn, or "
                "remove task_options.negatives."
            )
        known, parts = np.zeros(0, np.int64), []
        for columns in train.pools():
            ids, firsts = np.unique(columns[item], return_index=True)
            new = firsts[~np.isin(ids, known)]
            known = np.append(known, columns[item][new])
            parts.append({name: columns[name][new] for name in train.late.features})
        return cls({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, count)

    def draw(self, rows: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Features of drawn items, [rows, count, ...], in tf.data.

        Args:
            seed: int32 [2]; the same one draws the same items.
        """
        places = tf.random.stateless_uniform([rows, self._count], seed, 0, self._items, tf.int64)
        return {DRAWN + name: tf.gather(values, places) for name, values in self._features.items()}
