"""Losses of towers: each row's query is to be nearer to the row's own item than to the other items of the batch.

All take what `Towers` answers, [N, 2, d], and one number a row. Those that know items also take k drawn ones a row: [N, 2 + k, d], and
their numbers.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

_FAR = -1e9


class InBatchSoftmax(keras.losses.Loss):
    """Which of the batch's items belongs to the query, as a cross-entropy.

    The items of a batch are drawn by their frequency, so that frequent ones would be pushed away too often: the logarithm of an
    item's share is taken off its score (Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
    Recommendations"). Where k items a row are drawn evenly from all besides, all rows are held against all of them, and an item is
    expected so often for each row: its share and k / items (Yang et al. 2020, "Mixed Negative Sampling for Learning Two-tower Neural
    Networks in Recommendations"). The same item in another row is no wrong answer, and is left out.

    Args:
        shares: of train's rows, by the item's id, [ids].
        items: how many distinct ones are drawn from.
    """

    def __init__(self, shares: np.ndarray, items: int = 1) -> None:
        super().__init__(name="in_batch_softmax")
        self._shares, self._items = np.maximum(shares, 1e-12).astype(np.float32), items

    def call(self, y_true: Any, y_pred: Any) -> Any:
        scores, items, own = _scores_of_items(y_true, y_pred)
        expected = ops.take(ops.convert_to_tensor(self._shares), items) + (y_pred.shape[1] - 2) / self._items
        scores = ops.where(_again(own, items), _FAR, scores - ops.log(expected)[None])
        return -ops.diagonal(ops.log_softmax(scores, axis=1))


class InBatchBPR(keras.losses.Loss):
    """Whether the own item scores above each other item of the batch (Rendle et al. 2009, "BPR: Bayesian Personalized Ranking")."""

    def __init__(self) -> None:
        super().__init__(name="in_batch_bpr")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        scores, items, own = _scores_of_items(y_true, y_pred)
        wrong = ops.cast(own[:, None] != items[None], scores.dtype)
        lost = ops.softplus(scores - ops.diagonal(scores)[:, None])
        return ops.sum(lost * wrong, axis=1) / ops.maximum(ops.sum(wrong, axis=1), 1.0)


class Contrastive(keras.losses.Loss):
    """Rows of one class are to be near to each other (Khosla et al. 2020, "Supervised Contrastive Learning", the outer form)."""

    def __init__(self) -> None:
        super().__init__(name="contrastive")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = ops.cast(ops.reshape(y_true, [-1]), "int32")
        self_ = ops.eye(ops.shape(classes)[0], dtype="bool")
        scores = ops.log_softmax(ops.where(self_, _FAR, _scores(y_pred[:, 0], y_pred[:, 1])), axis=1)
        alike = ops.cast(_again(classes, classes), scores.dtype)
        return -ops.sum(ops.where(self_, 0.0, scores) * alike, axis=1) / ops.maximum(ops.sum(alike, axis=1), 1.0)


def _scores(queries: Any, items: Any) -> Any:
    """Of each query with each item, [N, M]."""
    return ops.matmul(queries, ops.transpose(items))


def _scores_of_items(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Of each query with the items of all rows, then with all drawn ones.

    Returns:
        Scores [N, N + N k]; the items' ids, [N + N k]; the rows' own, [N].
    """
    drawn = y_pred.shape[1] - 2
    ids = ops.cast(ops.reshape(y_true, [-1, 1 + drawn]), "int32")
    vectors = ops.concatenate([y_pred[:, 1], ops.reshape(y_pred[:, 2:], [-1, y_pred.shape[2]])])
    items = ops.concatenate([ids[:, 0], ops.reshape(ids[:, 1:], [-1])])
    return _scores(y_pred[:, 0], vectors), items, ids[:, 0]


def _again(own: Any, codes: Any) -> Any:
    """Where a row's own number, [N], stands again among [M] whose first N are the rows' own, [N, M]."""
    itself = ops.eye(ops.shape(own)[0], ops.shape(codes)[0], dtype="bool")
    return ops.logical_and(own[:, None] == codes[None], ops.logical_not(itself))
