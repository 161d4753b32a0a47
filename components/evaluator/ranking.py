"""The metrics of ranking: each query's rows are put in the order of their scores, and queries count alike.

Rows of one score have no order of their own. A metric is then its mean over all orders of them (McSherry and Najork, 2008),
so that it depends neither on the order in which rows are read nor on how they were spread over workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.evaluator.metrics import METRICS, Rows, Sums, TaskMetrics, ratio
from spec.errors import InputError

_TOP = 10


class RankingMetrics(TaskMetrics):
    """Labels are relevances of 0 or more, predictions scores; a row of a relevance above 0 is relevant.

    Queries without a relevant row cannot be ranked well or badly: they count in no metric.
    """

    task = "ranking"
    widths: Mapping[str, int] = {}

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        return np.isfinite(predictions)

    def value(self, metric: str, sums: Sums, slice_index: int = 0) -> float | None:
        return ratio(float(sums.terms[metric][slice_index]), float(sums.terms["judged"][slice_index]))

    def by_query(
        self, labels: np.ndarray, scores: np.ndarray, queries: np.ndarray, slices: np.ndarray | None = None
    ) -> tuple[Rows, np.ndarray]:
        """What the metrics need of each query; with slices, of each query's rows in each slice.

        Args:
            labels: relevances, [N].
            scores: finite, [N].
            queries: each row's query, [N] of int64.
            slices: each row's slice, [N].

        Returns:
            The terms of Q queries, and a row of each query, [Q], in the order of slices and queries.
        """
        if not len(labels):
            names = ("rows", "queries", "single", "judged", *METRICS[self.task], *_squared(METRICS[self.task]))
            return Rows({name: np.zeros(0) for name in names}, {}), np.zeros(0, np.int64)
        parts = (queries,) if slices is None else (queries, slices)
        order = np.lexsort((-scores, *parts))
        firsts = _changes(*(part[order] for part in parts))
        label = labels[order].astype(np.float64)
        relevant = (label > 0).astype(np.float64)
        count = np.diff(np.append(firsts, len(label)))
        position = np.arange(len(label)) - np.repeat(firsts, count) + 1.0
        ties = _Ties(_changes(*(part[order] for part in parts), scores[order]), len(label))
        ideal = labels[np.lexsort((-labels, *parts))].astype(np.float64)
        discount = np.where(position <= _TOP, 1 / np.log2(position + 1), 0.0)
        chance = ties.mean(relevant)  # that the row at this position is relevant
        found = np.add.reduceat(relevant, firsts)
        judged = found > 0
        hits = np.add.reduceat(np.where(position <= _TOP, chance, 0.0), firsts)
        per_query = {
            "ndcg_10": _divide(
                np.add.reduceat(ties.mean(label) * discount, firsts), np.add.reduceat(ideal * discount, firsts)
            ),
            "map": _divide(
                np.add.reduceat(chance * _precision(relevant, position, firsts, count, ties), firsts), found
            ),
            "mrr": _reciprocal_rank(relevant, position, firsts, ties),
            "precision_10": hits / _TOP,
            "recall_10": _divide(hits, found),
        }
        terms = {
            "rows": count.astype(np.float64),
            "queries": np.ones(len(firsts)),
            "single": (count == 1).astype(np.float64),
            "judged": judged.astype(np.float64),
            **(counted := {name: np.where(judged, value, 0.0) for name, value in per_query.items()}),
            **dict(zip(_squared(counted), (value**2 for value in counted.values()), strict=True)),
        }
        return Rows(terms, {}), order[firsts]


def _squared(metrics: Iterable[str]) -> list[str]:
    """Names of the terms that say how sure the metrics are (confidence.py)."""
    return [f"squared_{metric}" for metric in metrics]


class _Ties:
    """Runs of rows of one query and one score.

    Attributes:
        size: of each row's run, [N].
        place: of each row in its run, from 1, [N].
        before: where each row's run begins, [N].
    """

    def __init__(self, firsts: np.ndarray, rows: int) -> None:
        self._firsts = firsts
        self._sizes = np.diff(np.append(firsts, rows))
        self.size = np.repeat(self._sizes, self._sizes).astype(np.float64)
        self.before = np.repeat(firsts, self._sizes)
        self.place = np.arange(rows) - self.before + 1.0

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over each row's run, [N]."""
        return np.repeat(np.add.reduceat(values, self._firsts), self._sizes)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean over each row's run, [N]."""
        return self.total(values) / self.size


def _precision(
    relevant: np.ndarray, position: np.ndarray, firsts: np.ndarray, count: np.ndarray, ties: _Ties
) -> np.ndarray:
    """Expected precision down to each position, given that the row there is relevant, [N]."""
    above = np.concatenate([[0.0], np.cumsum(relevant)])
    higher = above[ties.before] - np.repeat(above[firsts], count)
    among = _divide((ties.place - 1) * (ties.total(relevant) - 1), ties.size - 1)
    return (higher + 1 + among) / position


def _reciprocal_rank(relevant: np.ndarray, position: np.ndarray, firsts: np.ndarray, ties: _Ties) -> np.ndarray:
    """Expected 1 / position of the first relevant row of each query, [Q]; 0 where there is none."""
    rows = len(relevant)
    hits = ties.total(relevant)
    first_run = np.minimum.reduceat(np.where(hits > 0, ties.before, rows), firsts)
    here = np.flatnonzero(ties.before == np.repeat(first_run, np.diff(np.append(firsts, rows))))
    n, r, i = (value[here].astype(np.int64) for value in (ties.size, hits, ties.place))
    # Of C(n, r) ways to place r relevant rows among n, C(n - i, r - 1) have the first of them at place i.
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n.max(initial=0) + 1)))])
    possible = n - i >= r - 1
    n, r, i, here = n[possible], r[possible], i[possible], here[possible]
    ways = logs[n - i] - logs[r - 1] - logs[n - i - r + 1] - (logs[n] - logs[r] - logs[n - r])
    shares = np.zeros(rows)
    shares[here] = np.exp(ways) / position[here]
    return np.add.reduceat(shares, firsts)


def _changes(*keys: np.ndarray) -> np.ndarray:
    """Where in sorted rows a new combination of keys begins."""
    new = np.ones(len(keys[0]), dtype=bool)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(new)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(b, dtype=np.float64), where=b != 0)


def query_keys(column: pa.Array, name: str) -> np.ndarray:
    """The queries of a batch as int64 [N]: integers as they are, other values by a hash that is the same everywhere.

    Of a million queries, two share a key with a probability of 3e-8.

    Raises:
        InputError: a query is missing, or the column holds lists.
    """
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if column.null_count:
        raise InputError(
            f"data.query: {column.null_count} of {len(column)} values of column {name!r} are missing, so those rows belong to "
            "no query. Remove or complete them."
        )
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return np.asarray(column.cast(pa.int64(), safe=False).to_numpy(zero_copy_only=False))
    try:
        encoded = column.dictionary_encode()
        texts = np.array(
            [str(v).encode() if not isinstance(v, bytes) else v for v in encoded.dictionary.to_pylist()], object
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"data.query: column {name!r} must hold one value a row. Received: {column.type}.") from None
    keys = pd.util.hash_array(texts, categorize=False).view(np.int64)
    return np.asarray(keys[encoded.indices.to_numpy(zero_copy_only=False)])
