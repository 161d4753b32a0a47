"""The order of the rows of a query: each query's rows are put in the order of their scores, and queries count alike.

Rows of one score have no order of their own. A metric is then its mean over all orders of them (McSherry and Najork, 2008),
so that it depends neither on the order in which rows are read nor on how they were spread over workers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from components.tasks import _ranks
from components.tasks._drafts import Draft, LabelColumn, at_least, rows_of_test
from components.tasks._lazily import confidence, np, pa, pc
from components.tasks._numbers import NumberTask
from components.tasks._sums import MergeableSums, UnitTerms, Values, divide, ratio
from spec.errors import InputError
from spec.metrics import MAP, MRR, NDCG_10, PRECISION_10, RECALL_10

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.gates import CheckResult

_TOP = 10
_MOST_EPOCHS = 50


class Ranking(NumberTask):
    """Labels are relevances of 0 or more, predictions scores; a row of a relevance above 0 is relevant.

    Queries without a relevant row cannot be ranked well or badly: they count in no metric.
    """

    name = "ranking"
    metrics = (NDCG_10, MAP, MRR, PRECISION_10, RECALL_10)
    needs_query = True
    least_label = 0.0
    label_word = "relevance"
    unit = "queries"
    unit_term = "judged"

    def group_terms(
        self, truths: np.ndarray, predictions: np.ndarray, groups: np.ndarray, slices: np.ndarray | None = None
    ) -> tuple[UnitTerms, np.ndarray]:
        if not len(truths):
            names = ("rows", "queries", "single", "judged", *self.metric_names(), *_squared(self.metric_names()))
            return UnitTerms({name: np.zeros(0) for name in names}), np.zeros(0, np.int64)
        parts = (groups,) if slices is None else (groups, slices)
        order = np.lexsort((-predictions, *parts))
        firsts = _ranks.changes(*(part[order] for part in parts))
        label = truths[order].astype(np.float64)
        relevant = (label > 0).astype(np.float64)
        count = np.diff(np.append(firsts, len(label)))
        position = np.arange(len(label)) - np.repeat(firsts, count) + 1.0
        ties = _Ties(_ranks.changes(*(part[order] for part in parts), predictions[order]), len(label))
        ideal = truths[np.lexsort((-truths, *parts))].astype(np.float64)
        discount = np.where(position <= _TOP, 1 / np.log2(position + 1), 0.0)
        chance = ties.mean(relevant)  # that the row at this position is relevant
        found = np.add.reduceat(relevant, firsts)
        judged = found > 0
        hits = np.add.reduceat(np.where(position <= _TOP, chance, 0.0), firsts)
        per_query = {
            "ndcg_10": divide(
                np.add.reduceat(ties.mean(label) * discount, firsts), np.add.reduceat(ideal * discount, firsts)
            ),
            "map": divide(np.add.reduceat(chance * _precision(relevant, position, firsts, count, ties), firsts), found),
            "mrr": _reciprocal_rank(relevant, position, firsts, ties),
            "precision_10": hits / _TOP,
            "recall_10": divide(hits, found),
        }
        terms = {
            "rows": count.astype(np.float64),
            "queries": np.ones(len(firsts)),
            "single": (count == 1).astype(np.float64),
            "judged": judged.astype(np.float64),
            **(counted := {name: np.where(judged, value, 0.0) for name, value in per_query.items()}),
            **dict(zip(_squared(counted), (value**2 for value in counted.values()), strict=True)),
        }
        return UnitTerms(terms), order[firsts]

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        return ratio(float(sums.terms[metric][slice_index]), float(sums.terms["judged"][slice_index]))

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        t = sums.of(slice_index)
        return confidence.mean_of_shares(t[metric], t[f"squared_{metric}"], t["judged"], level)

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        """The mean of all orders."""
        return self.values(sums)

    def data_checks(self, sums: MergeableSums, query: str) -> list[CheckResult]:
        """Whether there is something to rank: a column that is no query makes any model look perfect."""
        from components.gates import CheckResult, Severity

        queries, judged, single = (int(sums.terms[name][0]) for name in ("queries", "judged", "single"))
        shown = f"{queries:,} queries; {queries - judged:,} of them without a relevant row are left out"
        if not judged:
            message = f"none of {queries:,} queries has a row of relevance above 0: all metrics are undefined"
        elif single > queries / 2:
            message = (
                f"{single:,} of {queries:,} queries have one row, which any model ranks right: is {query!r} the query?"
            )
        else:
            return [CheckResult("queries have rows to rank", True, message=shown)]
        return [CheckResult("queries have rows to rank", False, Severity.WARNING, message)]

    @classmethod
    def draft(cls, label: LabelColumn, positive: str | None = None) -> Draft:
        if label.query is None:
            raise InputError(
                "--query: is missing. Name the column of which one value, such as a search, makes the rows of a ranking."
            )
        if not label.is_number or pc.min(label.values).as_py() < 0:
            received = label.values[0].as_py() if not label.is_number else pc.min(label.values).as_py()
            raise InputError(
                f"--task ranking: the label {label.name!r} must be a relevance, a number of 0 or more. Received: {received!r}."
            )
        relevances = label.values.cast(pa.float64(), safe=False).to_numpy()
        groups = label.query.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
        found = cls().group_terms(relevances, np.zeros(len(groups)), groups)[0].terms
        queries, judged = len(found["rows"]), found["judged"] > 0
        if found["single"].sum() > queries / 2 or not judged.any():
            raise InputError(
                f"--query: there is nothing to rank. {int(found['single'].sum()):,} of {queries:,} queries have one row, and "
                f"{int(judged.sum()):,} have a row of a relevance above 0. Is it the right column?"
            )
        reached = float(found["ndcg_10"][judged].mean())
        chance = float(found["ndcg_10"][judged].std() / np.sqrt(rows_of_test(int(judged.sum()))))
        return Draft(
            label.name,
            cls.name,
            "FLOAT",
            story=(
                f"{queries:,} queries of {label.rows / queries:.3g} rows; in any order, they have an ndcg_10 of about {reached:.3f}",
            ),
            trivial=f"The mean of all orders has an ndcg_10 of about {reached:.3f}.",
            test_rows=label.test_rows,
            bars=(at_least("ndcg_10", min(0.99, reached + 2 * chance)),),
            max_loss=float(f"{min(0.1, max(0.001, chance)):.2g}"),
            most_epochs=_MOST_EPOCHS,
            hyperparameters={"dropout": 0.0},
            purpose="Puts the rows of a query in order, the most relevant first.",
        )


def _squared(metrics: Iterable[str]) -> list[str]:
    """Names of the terms that say how sure the metrics are (`bounds_of`)."""
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
    among = divide((ties.place - 1) * (ties.total(relevant) - 1), ties.size - 1)
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
