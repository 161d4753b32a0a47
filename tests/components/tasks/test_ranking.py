from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest

from components.tasks import Values, query_keys
from components.tasks.ranking import Ranking
from spec.errors import InputError

RANKING = Ranking()


def ranked(labels: list[float], scores: list[float], queries: list[int] | None = None) -> Values:
    rows, _ = RANKING.group_terms(np.array(labels), np.array(scores), np.array(queries or [0] * len(labels), np.int64))
    return RANKING.values(RANKING.reduce(rows))


def test_one_query_by_hand() -> None:
    """In the order of the scores: relevances 0, 3, 1, 0."""
    found = ranked([1, 0, 3, 0], [0.2, 0.9, 0.5, 0.1])
    assert set(found) == set(RANKING.metric_names())
    gained, ideal = 3 / math.log2(3) + 1 / math.log2(4), 3 / math.log2(2) + 1 / math.log2(3)
    assert found["ndcg_10"] == pytest.approx(gained / ideal)
    assert found["mrr"] == pytest.approx(1 / 2)
    assert found["map"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["precision_10"] == pytest.approx(2 / 10), "of ten places, however few rows there are"
    assert found["recall_10"] == 1


def test_only_the_first_ten_count() -> None:
    labels = [0] * 9 + [1, 1, 1]
    found = ranked(labels, list(range(12, 0, -1)))
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert found["ndcg_10"] == pytest.approx(1 / math.log2(11) / ideal)
    assert found["precision_10"] == pytest.approx(0.1) and found["recall_10"] == pytest.approx(1 / 3)
    assert found["map"] == pytest.approx((1 / 10 + 2 / 11 + 3 / 12) / 3) and found["mrr"] == pytest.approx(1 / 10)


def test_queries_count_alike_and_those_without_a_relevant_row_not_at_all() -> None:
    both = ranked([1, 0, 0, 1, 0, 0, 0], [2, 1, 3, 2, 1, 7, 8], [5, 5, -3, -3, -3, 9, 9])
    one, other = ranked([1, 0], [2, 1]), ranked([0, 1, 0], [3, 2, 1])
    assert both == pytest.approx({name: (one[name] + other[name]) / 2 for name in one})
    assert set(ranked([0, 0], [1, 2]).values()) == {None}


def test_ties_count_as_the_mean_of_all_their_orders() -> None:
    labels, scores = [2, 0, 1, 0, 0, 1, 3], [0.5, 0.5, 0.5, 0.9, 0.1, 0.1, 0.5]
    orders = []
    for shift in itertools.permutations(range(7)):
        apart = np.array(scores) + 1e-6 * np.array(shift)
        orders.append(ranked(labels, list(apart)))
    expected = {name: np.mean([one[name] for one in orders]) for name in orders[0]}
    assert ranked(labels, scores) == pytest.approx(expected)


def test_ties_across_the_tenth_place_and_many_of_them() -> None:
    found = ranked([1] * 5 + [0] * 15, [0.0] * 20)
    assert found["precision_10"] == pytest.approx(0.25) and found["recall_10"] == pytest.approx(0.5)
    expected = sum(math.comb(20 - i, 4) / math.comb(20, 5) / i for i in range(1, 17))
    assert found["mrr"] == pytest.approx(expected)
    assert 0 < ranked([1] + [0] * 199_999, [0.0] * 200_000)["mrr"] < 1e-4


def test_the_order_of_the_rows_does_not_matter() -> None:
    random = np.random.default_rng(0)
    labels, queries = random.integers(0, 4, 3000), random.integers(0, 200, 3000)
    scores, slices = np.round(random.random(3000), 2).astype(np.float32), random.integers(0, 3, 3000)
    shuffled = random.permutation(3000)
    rows, _ = RANKING.group_terms(labels, scores, queries, slices)
    again, firsts = RANKING.group_terms(*(values[shuffled] for values in (labels, scores, queries, slices)))
    for name, value in rows.terms.items():
        np.testing.assert_array_equal(again.terms[name], value, name)
    sums = RANKING.reduce(again, slices[shuffled][firsts], 3)
    alone = slices == 1
    only, _ = RANKING.group_terms(labels[alone], scores[alone], queries[alone])
    assert RANKING.values(sums, 1) == pytest.approx(RANKING.values(RANKING.reduce(only)), rel=1e-12)


def test_ndcg_is_scikit_learn_s() -> None:
    import sklearn.metrics

    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 4, (50, 30)), np.round(random.random((50, 30)), 1)
    found = ranked(labels.ravel().tolist(), scores.ravel().tolist(), np.repeat(range(50), 30).tolist())
    assert found["ndcg_10"] == pytest.approx(sklearn.metrics.ndcg_score(labels, scores, k=10))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b", "a"]),
        pa.array([b"a", b"b", b"a"]),
        pa.array([2**63 - 1, -7, 2**63 - 1]),
        pa.array([1.5, 2, 1.5]),
    ],
)
def test_equal_queries_have_equal_keys(column: pa.Array) -> None:
    keys = query_keys(column, "search")
    assert keys.dtype == np.int64 and keys[0] == keys[2] != keys[1]
    assert (query_keys(column.slice(1), "search") == keys[1:]).all(), "in every batch"


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array(["a", None]), "1 of 2 values of column 'search' are missing"),
        (pa.array([1.0, math.nan]), "1 of 2 values"),
        (pa.array([[1], [2]]), "one value a row"),
    ],
)
def test_what_is_no_query(column: pa.Array, says: str) -> None:
    with pytest.raises(InputError, match=says):
        query_keys(column, "search")
