"""How good ranked lists are, of the places at which relevant items stand in them."""

from __future__ import annotations

from components.tasks._lazily import np
from components.tasks._sums import divide

TOP = 10


def per_query(query: np.ndarray, rank: np.ndarray, wanted: np.ndarray, most: int) -> dict[str, np.ndarray]:
    """Metrics of Q queries.

    Args:
        query: whose list it is, of each relevant item in a list, [N] of 0..Q-1.
        rank: the item's place there, from 1, [N].
        wanted: how many relevant items there are for each query, in its list or not, [Q].
        most: the length of the lists.

    Returns:
        By metric, [Q]; 0 where nothing is relevant.
    """
    order = np.lexsort((rank, query))
    query, rank = query[order], rank[order].astype(np.float64)
    found = np.bincount(query, minlength=len(wanted))
    nth = np.arange(len(rank)) - np.repeat(np.cumsum(found) - found, found) + 1.0
    asked = wanted.astype(np.float64)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(query, weights=values, minlength=len(wanted)).astype(np.float64)

    return {
        "ndcg_10": divide(total(np.where(rank <= TOP, 1 / np.log2(rank + 1), 0.0)), _ideal(wanted)),
        "recall_20": divide(total(rank <= 20), asked),
        "recall_10": divide(total(rank <= TOP), asked),
        "map": divide(total(nth / rank), np.minimum(asked, most)),
        "mrr": total(np.where(nth == 1, 1 / rank, 0.0)),
        "hit_1": total(rank == 1),
    }


def _ideal(wanted: np.ndarray) -> np.ndarray:
    gains = np.cumsum(1 / np.log2(np.arange(2, TOP + 2)))
    return np.append(0.0, gains)[np.minimum(wanted, TOP)]


def changes(*keys: np.ndarray) -> np.ndarray:
    """Where in sorted rows a new combination of keys begins."""
    new = np.ones(len(keys[0]), dtype=bool)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(new)
