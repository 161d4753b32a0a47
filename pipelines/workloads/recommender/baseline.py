"""Methods beside the towers. They know users by what they watched alone: a new one is answered what is most frequent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

_RIDGE = 300.0


def popularity(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """What most users of train watched, for everybody."""
    return _lists(train, test, task, lambda watched: np.broadcast_to(watched.sum(0), watched.shape))


def ease(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Each film regressed on all others (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data")."""

    def scores(watched: np.ndarray) -> np.ndarray:
        inverse = np.linalg.inv(watched.T @ watched + _RIDGE * np.eye(watched.shape[1]))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return np.asarray(watched @ weights)

    return _lists(train, test, task, scores)


def _lists(train: pa.Table, test: pa.Table, task: Any, method: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The films of the highest scores among those that a row's user has not watched, [N, top_k]; of equal ones the most frequent."""
    films, film, counts = np.unique(train["item"].to_numpy(), return_inverse=True, return_counts=True)
    users, user = np.unique(np.concatenate([train["user"].to_numpy(), test["user"].to_numpy()]), return_inverse=True)
    watched = np.zeros((len(users), len(films)))
    watched[user[: train.num_rows], film] = 1
    scores = np.where(watched > 0, -np.inf, method(watched))
    best = np.lexsort((np.broadcast_to(-counts, scores.shape), -scores), axis=1)[:, : task.options.top_k]
    return films[best][user[train.num_rows :]]
