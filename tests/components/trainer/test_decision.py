"""Rare classes: what a row weighs, and above which probability it is called positive."""

from __future__ import annotations

import numpy as np
import pytest

from components.tasks import find
from components.trainer import TrainingConfig
from components.trainer._checks import SplitChecks
from components.trainer._decision import decide
from components.trainer._weights import class_weights
from spec.errors import InputError

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], np.float32)
LABELS = np.array([1, 1, 0, 1, 0, 0, 0, 0])


def measured(threshold: float, scores: np.ndarray = SCORES, labels: np.ndarray = LABELS) -> tuple[float, float]:
    called = scores > np.float32(threshold)
    hits = (called & (labels == 1)).sum()
    return hits / called.sum(), hits / labels.sum()


@pytest.mark.parametrize(
    ("rule", "between", "reached"),
    [
        ("best_f1", (0.5, 0.6), (0.75, 1.0)),
        ({"precision": 0.9}, (0.7, 0.8), (1.0, 2 / 3)),
        ({"precision": 0.7}, (0.5, 0.6), (0.75, 1.0)),
        ({"recall": 0.6}, (0.7, 0.8), (1.0, 2 / 3)),
        ({"recall": 1.0}, (0.5, 0.6), (0.75, 1.0)),
    ],
)
def test_a_threshold_is_chosen_between_rows(rule, between: tuple[float, float], reached: tuple[float, float]) -> None:
    found = decide(rule, SCORES, LABELS)
    assert between[0] < found.threshold < between[1]
    assert (found.precision, found.recall) == pytest.approx(reached) == measured(found.threshold)
    assert "3 positive rows of eval, which is few" in found.caution


def test_a_number_is_taken_as_it_is() -> None:
    found = decide(0.3, np.empty(0), np.empty(0))
    assert (found.threshold, found.positives, found.caution) == (0.3, None, "")


def test_an_aim_that_is_not_reached_is_said_and_the_nearest_taken() -> None:
    labels = np.array([0, 1, 1, 0, 0, 0, 0, 0])
    found = decide({"precision": 0.9}, SCORES, labels)
    assert found.precision == pytest.approx(2 / 3) and "precision 0.9 is reached nowhere on eval" in found.caution


@pytest.mark.parametrize("label", [0, 1])
def test_where_eval_has_one_class_half_it_is_and_that_is_said(label: int) -> None:
    found = decide("best_f1", SCORES, np.full(8, label))
    assert found.threshold == 0.5 and "all 8 rows of eval are of one class" in found.caution


def test_rows_of_one_probability_are_never_told_apart() -> None:
    scores = np.array([0.5, 0.5, 0.5, 0.5], np.float32)
    found = decide("best_f1", scores, np.array([1, 0, 1, 0]))
    assert found.recall == 1 and (scores > np.float32(found.threshold)).all()


def test_neighbours_in_float32_are_told_apart_as_the_served_model_compares() -> None:
    scores = np.array([np.nextafter(np.float32(0.7), np.float32(1)), np.float32(0.7)], np.float32)
    found = decide("best_f1", scores, np.array([1, 0]))
    assert (scores > np.float32(found.threshold)).tolist() == [True, False]


def test_what_is_chosen_is_the_best_there_is() -> None:
    """Against trying every threshold."""
    random = np.random.default_rng(3)
    labels = (random.random(400) < 0.1).astype(int)
    scores = np.round(random.random(400) * 0.5 + 0.3 * labels, 2).astype(np.float32)
    found = decide("best_f1", scores, labels)
    tried = [measured(t, scores, labels) for t in np.unique(scores)[:-1]]
    best = max(2 * p * r / (p + r) for p, r in tried if p + r)
    assert 2 * found.precision * found.recall / (found.precision + found.recall) == pytest.approx(best)
    assert found.caution == ""


def weights(asked: object, counts: list[int], classes: tuple[str, ...] = ("ok", "fraud")) -> list[float] | None:
    config = TrainingConfig(task="binary", label="y", class_weights=asked)  # type: ignore[arg-type]
    found = class_weights(config, classes, np.array(counts))
    return None if found is None else found.tolist()


def test_balanced_classes_weigh_the_same_together_and_a_row_one_on_average() -> None:
    assert weights("none", [90, 10]) is None
    found = weights("balanced", [90, 10])
    assert found == pytest.approx([100 / 180, 5.0])
    assert 90 * found[0] == pytest.approx(10 * found[1]) and 90 * found[0] + 10 * found[1] == pytest.approx(100)
    assert weights("balanced", [90, 0, 10], ("a", "b", "c")) == pytest.approx([100 / 180, 1.0, 5.0])


def test_weights_by_class() -> None:
    assert weights({"fraud": 7.5}, [90, 10]) == [1.0, 7.5]
    with pytest.raises(
        InputError, match=r"training\.class_weights: the label 'y' has no class 'Fraud'\. Classes: 'ok', 'fraud'"
    ):
        weights({"Fraud": 7.5}, [90, 10])


def test_the_rows_of_each_class_are_counted_part_by_part() -> None:
    checks = SplitChecks("train", find("multiclass")(("a", "b", "c")), "y")
    for part in ([0, 0, 2], [2, 0]):
        checks.add({"y": np.array(part)})
    assert checks.class_counts.tolist() == [3, 0, 2]
