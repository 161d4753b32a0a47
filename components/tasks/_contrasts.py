"""Losses of towers: each row's query is to be nearer to the row's own item than to the other items of the batch.

All take what `Towers` answers, [N, 2, d], and one number a row.
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
    Recommendations"). The same item in another row is no wrong answer, and is left out.

    Args:
        shares: of train's rows, by the item's id, [items].
    """

    def __init__(self, shares: np.ndarray) -> None:
        super().__init__(name="in_batch_softmax")
        self._logarithms = np.log(np.maximum(shares, 1e-12)).astype(np.float32)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        items = ops.cast(ops.reshape(y_true, [-1]), "int32")
        scores = _scores(y_pred) - ops.take(ops.convert_to_tensor(self._logarithms), items)[None]
        scores = ops.where(_others(items), _FAR, scores)
        return -ops.diagonal(ops.log_softmax(scores, axis=1))


class InBatchBPR(keras.losses.Loss):
    """Whether the own item scores above each other item of the batch (Rendle et al. 2009, "BPR: Bayesian Personalized Ranking")."""

    def __init__(self) -> None:
        super().__init__(name="in_batch_bpr")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        items = ops.cast(ops.reshape(y_true, [-1]), "int32")
        scores = _scores(y_pred)
        wrong = ops.cast(items[:, None] != items[None], scores.dtype)
        lost = ops.softplus(scores - ops.diagonal(scores)[:, None])
        return ops.sum(lost * wrong, axis=1) / ops.maximum(ops.sum(wrong, axis=1), 1.0)


class Contrastive(keras.losses.Loss):
    """Rows of one class are to be near to each other (Khosla et al. 2020, "Supervised Contrastive Learning", the outer form)."""

    def __init__(self) -> None:
        super().__init__(name="contrastive")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = ops.cast(ops.reshape(y_true, [-1]), "int32")
        self_ = ops.eye(ops.shape(classes)[0], dtype="bool")
        scores = ops.log_softmax(ops.where(self_, _FAR, _scores(y_pred)), axis=1)
        alike = ops.cast(_others(classes), scores.dtype)
        return -ops.sum(ops.where(self_, 0.0, scores) * alike, axis=1) / ops.maximum(ops.sum(alike, axis=1), 1.0)


def _scores(y_pred: Any) -> Any:
    """Of each query with each item of the batch, [N, N]."""
    return ops.matmul(y_pred[:, 0], ops.transpose(y_pred[:, 1]))


def _others(codes: Any) -> Any:
    """Whether another row has the same number, [N, N]."""
    return ops.logical_and(codes[:, None] == codes[None], ops.logical_not(ops.eye(ops.shape(codes)[0], dtype="bool")))
