"""How sure metrics are: against published figures, and by how often the bounds miss what is true."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from components.confidence import area_bounds, proportion_bounds
from components.tasks import MergeableSums, Task
from components.tasks.binary import Binary
from components.tasks.multiclass import Multiclass
from components.tasks.ranking import Ranking
from components.tasks.regression import Regression

LEVEL = 0.95


def of(task: Task, labels: object, predictions: object) -> MergeableSums:
    return task.reduce(task.terms(np.asarray(labels), np.asarray(predictions, np.float64)))


def test_a_proportion_is_scipy_s_exact_one() -> None:
    from scipy import stats

    ours, theirs = proportion_bounds(17, 20, 0.975), stats.binomtest(17, 20).proportion_ci(0.95, "exact")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert (
        proportion_bounds(4, 4, LEVEL).low == pytest.approx(0.05 ** (1 / 4))
        and proportion_bounds(4, 4, LEVEL).high == 1
    )


def test_an_area_solves_newcombe_s_equation_and_does_not_collapse() -> None:
    found = area_bounds(0.8, 20, 30, 0.975)
    for at, far in ((found.low, 0.8 - found.low), (found.high, found.high - 0.8)):
        star = (20 + 30) / 2 - 1
        variance = at * (1 - at) * (1 + star * (1 - at) / (2 - at) + star * at / (1 + at)) / (20 * 30)
        assert far == pytest.approx(1.959964 * variance**0.5, rel=1e-6)
    assert area_bounds(1.0, 2, 2, LEVEL).low < 0.5 and area_bounds(1.0, 40, 40, LEVEL).low > 0.95
    assert area_bounds(0.0, 5, 5, LEVEL).low == 0 and area_bounds(1.0, 5, 5, LEVEL).high == 1


def test_a_few_rows_without_an_error_are_no_proof() -> None:
    four = of(Binary(), [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    for metric in ("auc", "accuracy", "f1", "precision", "recall", "auc_pr"):
        assert (found := Binary().bounds(metric, four, LEVEL)) and found.low < 0.65, metric
    three = Multiclass("abc")
    perfect = of(three, [0, 1, 2] * 4, np.eye(3)[[0, 1, 2] * 4])
    for metric in ("accuracy", "macro_f1"):
        assert (found := three.bounds(metric, perfect, LEVEL)) and found.low < 0.8, metric
    ranking = Ranking()
    rows, _ = ranking.group_terms(np.tile([1.0, 0.0], 8), np.tile([2.0, 1.0], 8), np.repeat(np.arange(8), 2))
    assert (found := ranking.bounds("ndcg_10", ranking.reduce(rows), LEVEL)) and found.low < 0.75


def test_of_what_nothing_can_be_said_there_are_no_bounds() -> None:
    exact = of(Regression(), [1.0, 2, 3], [1.0, 2, 3])
    assert all(Regression().bounds(metric, exact, LEVEL) is None for metric in Regression.metric_names())
    single = of(Binary(), [1], [0.7])
    assert [Binary().bounds(m, single, LEVEL) for m in ("auc", "log_loss", "calibration")] == [None] * 3


def binary(random: np.random.Generator, rows: int) -> MergeableSums:
    labels = (random.random(rows) < 0.3).astype(int)
    score = random.normal(size=rows) + 1.8 * labels
    return of(Binary(), labels, 1 / (1 + np.exp(-(1.8 * score - 1.62 + np.log(3 / 7)))))


def multiclass(random: np.random.Generator, rows: int) -> MergeableSums:
    labels = random.choice(4, p=[0.4, 0.3, 0.2, 0.1], size=rows)
    scores = np.exp(random.normal(size=(rows, 4)) + 2 * np.eye(4)[labels])
    return of(Multiclass("abcd"), labels, scores / scores.sum(axis=1, keepdims=True))


def regression(random: np.random.Generator, rows: int) -> MergeableSums:
    labels = 5 + random.normal(size=rows)
    return of(Regression(pivot=4.0), labels, labels + 0.5 * random.normal(size=rows))


def ranking(random: np.random.Generator, rows: int) -> MergeableSums:
    relevant = (random.random(rows * 4) < 0.3).astype(float)
    scores = 1.5 * relevant + random.normal(size=rows * 4)
    found, _ = Ranking().group_terms(relevant, scores, np.repeat(np.arange(rows), 4))
    return Ranking().reduce(found)


@pytest.mark.parametrize(
    ("task", "draw"),
    [
        (Binary(), binary),
        (Multiclass("abcd"), multiclass),
        (Regression(pivot=4.0), regression),
        (Ranking(), ranking),
    ],
    ids=["binary", "multiclass", "regression", "ranking"],
)
def test_bounds_miss_the_truth_about_as_often_as_they_say(
    task: Task, draw: Callable[[np.random.Generator, int], MergeableSums]
) -> None:
    """One in twenty, give or take what 150 draws can tell, and the few more that skewed figures cost."""
    random = np.random.default_rng(7)
    truth = task.values(draw(random, 100_000))
    missed = dict.fromkeys(truth, 0.0)
    for _ in range(150):
        sums = draw(random, 150)
        for metric, value in truth.items():
            found = task.bounds(metric, sums, LEVEL)
            assert found is not None and value is not None and found.low <= found.high
            missed[metric] += (found.low > value) / 150
    assert max(missed.values()) < 0.12, missed


def test_a_trivial_model() -> None:
    binary = of(Binary(), [1] * 3 + [0] * 7, [0.5] * 10)
    found = Binary().trivial(binary, np.zeros(0))
    assert found["accuracy"] == 0.7 and found["auc"] == 0.5 and found["recall"] == 1
    assert found["log_loss"] == pytest.approx(-(0.3 * np.log(0.3) + 0.7 * np.log(0.7)))
    labels = np.array([1.0, 2, 3, 10])
    found = Regression(pivot=3.0).trivial(of(Regression(pivot=3.0), labels, labels), labels)
    assert found["rmse"] == pytest.approx(labels.std()) and found["mae"] == pytest.approx(2.5) and found["r2"] == 0
    answers = np.linspace(0.5, 10, 2000)
    assert found["mape"] == pytest.approx(min(np.abs(1 - a / labels).mean() for a in answers) * 100, rel=1e-3)
    three = Multiclass("abc")
    found = three.trivial(of(three, [0, 0, 0, 1, 2], np.full((5, 3), 1 / 3)), np.zeros(0))
    assert found["accuracy"] == 0.6 and found["top_3_accuracy"] == 1 and found["macro_f1"] == pytest.approx(0.25)
