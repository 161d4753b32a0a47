"""Methods that learn nothing step by step, each a few lines of linear algebra. On this data they are hard to beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import scipy.sparse

# Who had what, users' rows of it -> their scores of all items.
Links: TypeAlias = scipy.sparse.csr_array
Scores: TypeAlias = Callable[[Links], np.ndarray]

_RIDGE = 50.0
_USERS_AT_A_TIME = 1000


def popularity(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """What most users of train have, for everybody."""
    return _lists(train, test, task, lambda links: lambda rows: np.tile(links.sum(0), (rows.shape[0], 1)))


def graph_filter(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """What users of the same items have: two of LightGCN's steps along the graph, with nothing learnt."""

    def method(links: Links) -> Scores:
        of_users, of_items = (1 / np.sqrt(np.maximum(links.sum(axis), 1)) for axis in (1, 0))
        shares = scipy.sparse.diags_array(of_users) @ links @ scipy.sparse.diags_array(of_items)
        alike = shares.T @ shares
        return lambda rows: (rows @ alike).toarray()

    return _lists(train, test, task, method)


def ease(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Each item regressed on all others (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data")."""

    def method(links: Links) -> Scores:
        inverse = np.linalg.inv((links.T @ links).toarray() + _RIDGE * np.eye(links.shape[1]))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return lambda rows: rows @ weights

    return _lists(train, test, task, method)


def _lists(train: pa.Table, test: pa.Table, task: Any, method: Callable[[Links], Scores]) -> np.ndarray:
    """The items of the highest scores among those that a row's user has not had, [N, top_k]."""
    (by_user,), by_item = task.options.query_columns, task.options.item
    items, item = _by_frequency(train[by_item].to_numpy())
    ids = np.concatenate([train[by_user].to_numpy(), test[by_user].to_numpy()])
    users, user = np.unique(ids, return_inverse=True)
    pairs = np.unique(np.stack([user[: train.num_rows], item]), axis=1)
    links = scipy.sparse.csr_array((np.ones(pairs.shape[1], np.float32), pairs), shape=(len(users), len(items)))
    scores_of = method(links)
    asked, row = np.unique(user[train.num_rows :], return_inverse=True)
    best = []
    for start in range(0, len(asked), _USERS_AT_A_TIME):
        had = links[asked[start : start + _USERS_AT_A_TIME]]
        scores = scores_of(had)
        scores[had.nonzero()] = -np.inf
        best.append(np.argsort(-scores, axis=1, kind="stable")[:, : task.options.top_k])
    return items[np.concatenate(best)][row]


def _by_frequency(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ids, the most frequent first, and which of them each one is: of equal scores the first wins."""
    distinct, codes, counts = np.unique(ids, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return distinct[order], np.argsort(order)[codes]
