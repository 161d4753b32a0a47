"""Simple methods for who had what: each a few lines of linear algebra, and on many data sets hard to beat.

A workload's baseline.py names those that stand beside its model:

    from components.tasks import collaborative

    def popularity(train, test, task):
        \"\"\"What most users have, for everybody.\"\"\"
        return collaborative.lists(train, test, task, "user", collaborative.popularity)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy.sparse

from components.tasks.spectral import links_of, normalised

if TYPE_CHECKING:
    import pyarrow as pa

Links: TypeAlias = scipy.sparse.csr_array
"""1 where a query had an item, float32 [queries, items]."""
Scores: TypeAlias = Callable[[Links], np.ndarray]
"""Some rows of the links -> the scores of all items, [rows, items]."""

_QUERIES_AT_A_TIME = 1000


def popularity(links: Links) -> Scores:
    """What most queries have."""
    counts = links.sum(0)
    return lambda rows: np.broadcast_to(counts, rows.shape)


def graph_filter(links: Links) -> Scores:
    """What those have who have the same: two steps along the graph, with nothing learnt."""
    shares = normalised(links)
    return lambda rows: (rows @ shares.T @ shares).toarray()


def ease(links: Links, ridge: float) -> Scores:
    """Each item regressed on all others (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    Args:
        ridge: the penalty on weights; more for more queries.
    """
    weights = ease_weights(links, ridge)
    return lambda rows: rows @ weights


def ease_weights(links: Links, ridge: float) -> np.ndarray:
    """What having an item says of each other one, [items, items]; takes memory and time for all pairs."""
    inverse = np.linalg.inv((links.T @ links).toarray() + ridge * np.eye(links.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def lists(train: pa.Table, test: pa.Table, task: Any, query: str, method: Callable[[Links], Scores]) -> np.ndarray:
    """The items of the highest scores among those that a row's query has not had; of equal scores the most frequent item's.

    Args:
        train: with the columns of the query and of the item.
        test: with the query's.
        task: the task, retrieval.
        query: the column of ids that the query is known by.
        method: what links say of scores.

    Returns:
        Items' ids, [rows of test, top_k].
    """
    import tensorflow as tf

    items, item = by_frequency(train[task.options.item].to_numpy())
    ids = np.concatenate([train[query].to_numpy(), test[query].to_numpy()])
    queries, number = np.unique(ids, return_inverse=True)
    links = links_of(np.stack([number[: train.num_rows], item], axis=1), (len(queries), len(items)))
    scores_of = method(links)
    asked, row = np.unique(number[train.num_rows :], return_inverse=True)
    best = []
    for start in range(0, len(asked), _QUERIES_AT_A_TIME):
        had = links[asked[start : start + _QUERIES_AT_A_TIME]]
        scores = np.array(scores_of(had))
        scores[had.nonzero()] = -np.inf
        # Of equal ones TensorFlow takes the first.
        best.append(tf.math.top_k(scores, min(task.options.top_k, len(items))).indices.numpy())
    return items[np.concatenate(best)][row]


def by_frequency(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ids, the most frequent first, and which of them each one is."""
    distinct, codes, counts = np.unique(ids, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return distinct[order], np.argsort(order)[codes]
