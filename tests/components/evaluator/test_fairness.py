"""Fairness: the values are fairlearn 0.15's on the same rows, and a bound passes, fails or is not judged."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.evaluator.config import EvaluationConfig
from components.evaluator.fairness import compare_groups, fairness_checks, plain
from components.evaluator.findings import Findings
from components.gates import Verdict
from components.tasks import Task
from components.tasks.binary import Binary
from components.tasks.multiclass import Multiclass
from spec.workload import FairnessThreshold

# Of `three_groups`, with scores above 0.5 called positive.
FAIRLEARN = {
    "demographic_parity_difference": 0.24076536643025997,
    "demographic_parity_ratio": 0.5196049528301888,
    "equalized_odds_difference": 0.20275897969807388,
    "equal_opportunity_difference": 0.20275897969807388,
}


def found(task: Task, truths: np.ndarray, predictions: np.ndarray, groups: np.ndarray) -> Findings:
    """As after an evaluation, of one column `group`."""
    findings = Findings(task, ("group",), None, seed=1)
    places = np.arange(len(truths))
    findings.add(places, truths, places, [findings.slices["group"].codes(pa.array(groups))], [predictions])
    findings.finish()
    return findings


def config(task: str = "binary", min_rows: int = 1, level: float = 0.95, **bounds: float) -> EvaluationConfig:
    """Bounds by metric: the greatest value, of a ratio the least."""
    thresholds = [
        {"metric": name, "column": "group", ("min" if name.endswith("ratio") else "max"): bound}
        for name, bound in bounds.items()
    ]
    fairness = {"columns": ["group"], "thresholds": thresholds, "min_rows": min_rows}
    return EvaluationConfig.model_validate({"task": task, "label": "y", "fairness": fairness, "confidence": level})


def three_groups() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    groups = random.choice(["a", "b", "c"], 900, p=[0.5, 0.3, 0.2])
    truths = (random.random(900) < 0.4).astype(int)
    scores = np.clip(0.45 * truths + 0.6 * random.random(900) - 0.12 * (groups == "c"), 0, 1)
    return truths, scores, groups


def test_values_are_fairlearns() -> None:
    (groups,) = compare_groups(found(Binary(["no", "yes"]), *three_groups()), config())
    values = {name: gap.value for name, gap in groups.gaps.items()}
    assert values == pytest.approx(FAIRLEARN, abs=1e-9)
    for gap in groups.gaps.values():
        assert gap.bounds and gap.value and gap.bounds.low < gap.value < gap.bounds.high
    assert groups.classes == ("yes",) and sum(groups.rows) == 900


def test_each_class_is_held_against_the_rest() -> None:
    truths = np.array([0, 0, 1, 1, 2, 2] * 2)
    called = np.array([0, 0, 1, 1, 2, 2, 0, 1, 1, 1, 1, 2])  # the second group: class 1 is called more often
    predictions = np.eye(3)[called]
    (groups,) = compare_groups(
        found(Multiclass(["x", "y", "z"]), truths, predictions, np.repeat(["a", "b"], 6)), config("multiclass")
    )
    parity = groups.gaps["demographic_parity_difference"]
    assert parity.of_class == "y" and parity.value == pytest.approx(4 / 6 - 2 / 6)
    assert groups.gaps["demographic_parity_ratio"].value == pytest.approx(0.5)
    assert groups.gaps["equalized_odds_difference"].value == pytest.approx(0.5)


def test_a_bound_passes_or_fails_and_says_between_whom() -> None:
    outcome = found(Binary(["no", "yes"]), *three_groups())
    wide, narrow, unsure = (
        fairness_checks(outcome, config(demographic_parity_difference=bound))[0]
        for bound in (0.9, 0.05, FAIRLEARN["demographic_parity_difference"] + 0.01)
    )
    assert wide.passes and "on 900 rows of 3 groups" in wide.message
    assert narrow.verdict is Verdict.FAILED and "is above 0.05" in narrow.message
    assert "selection rate: 'c' 0." in narrow.message
    assert unsure.verdict is Verdict.FAILED and "but not surely" in unsure.message


def test_small_groups_are_shown_and_not_compared() -> None:
    truths, scores, groups = three_groups()
    outcome = found(Binary(["no", "yes"]), truths, scores, groups)
    settings = config(min_rows=int((groups == "b").sum()), equal_opportunity_difference=0.9)
    (check,) = fairness_checks(outcome, settings)
    assert check.passes and "2 groups" in check.message and "not compared: 'c'" in check.message
    (table,) = plain(outcome, settings)
    assert [(one["value"], one["compared"]) for one in table["groups"]] == [("a", True), ("b", True), ("c", False)]
    (check,) = fairness_checks(outcome, config(min_rows=400, equal_opportunity_difference=0.9))
    assert check.verdict is Verdict.NOT_JUDGED and "1 of 3 groups of group can be compared" in check.message


def test_a_rate_that_no_group_has_is_not_judged() -> None:
    outcome = found(Binary(["no", "yes"]), np.zeros(40, int), np.tile([0.1, 0.9], 20), np.repeat(["a", "b"], 20))
    checks = fairness_checks(outcome, config(equal_opportunity_difference=0.5, demographic_parity_difference=0.6))
    assert [one.verdict for one in checks] == [Verdict.NOT_JUDGED, Verdict.PASSED]
    assert "is undefined" in checks[0].message


@pytest.mark.parametrize(
    ("metric", "side", "bound", "why"),
    [
        ("demographic_parity_difference", "min", 0.1, "give max"),
        ("demographic_parity_ratio", "max", 0.9, "give min"),
        ("equalized_odds_difference", "max", 0, "Give it some room"),
        ("equalized_odds_difference", "max", 1.5, "between 0 and 1"),
        ("accuracy", "min", 0.5, "demographic_parity_difference"),
    ],
)
def test_a_bound_that_cannot_be_kept_is_refused(metric: str, side: str, bound: float, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        FairnessThreshold.model_validate({"metric": metric, "column": "sex", side: bound})
