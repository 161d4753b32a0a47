"""A linear method beside the towers. It knows users by what they watched alone: a new one is answered what is most frequent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

_RIDGE = 300.0


def ease(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Each film regressed on all others (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data")."""
    films, film, counts = np.unique(train["item"].to_numpy(), return_inverse=True, return_counts=True)
    users, user = np.unique(np.concatenate([train["user"].to_numpy(), test["user"].to_numpy()]), return_inverse=True)
    watched = np.zeros((len(users), len(films)))
    watched[user[: train.num_rows], film] = 1
    inverse = np.linalg.inv(watched.T @ watched + _RIDGE * np.eye(len(films)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    scores = np.where(watched > 0, -np.inf, watched @ weights)
    best = np.lexsort((np.broadcast_to(-counts, scores.shape), -scores), axis=1)[:, : task.options.top_k]
    return films[best][user[train.num_rows :]]
