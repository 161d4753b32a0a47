"""Columns that give the label away, and columns that no longer know anything of it."""

from __future__ import annotations

import pathlib

import numpy as np
import pyarrow as pa
import pytest
from tfx.types import Channel, standard_artifacts

from components import border
from components.drift import _leakage
from components.drift._leakage import Strength, strengths
from components.drift.component import node
from components.drift.profile import Profile
from components.gates import CheckResult, Severity, Verdict
from components.graph import Graph, Site
from spec.workload import Drift, Workload

SIZE = 4000
TRAIN = np.arange(SIZE) % 5 != 0
RNG = np.random.default_rng(1)
LABEL = RNG.integers(0, 2, SIZE)
NOISE = RNG.normal(size=SIZE)


def strength(values: pa.ChunkedArray, label: pa.ChunkedArray, is_train: np.ndarray) -> float | None:
    found = _leakage.strength(values, label, is_train)
    return found and found.value


def checks(newest: Profile, before: Profile | None) -> list[CheckResult]:
    told = {name: Strength(value, value) for name, value in newest.strengths.items()}
    return list(_leakage.checks(told, newest, before, "tip", Drift()))


def column(values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


@pytest.mark.parametrize(
    ("values", "least", "most"),
    [
        (LABEL, 1.0, 1.0),
        (1 - LABEL, 1.0, 1.0),  # upside down it tells as much
        (np.where(LABEL == 1, "late", "in time"), 1.0, 1.0),
        (LABEL + 0.001 * NOISE, 0.999, 1.0),
        (np.abs(NOISE) * np.where(LABEL == 1, 5, -5), 0.999, 1.0),
        (LABEL + NOISE, 0.7, 0.8),
        (NOISE, 0.4, 0.6),
        ([f"id {n}" for n in range(SIZE)], 0.5, 0.5),  # a value of its own for each row
        (np.arange(SIZE), 0.4, 0.6),
        ([None if y else 1.0 for y in LABEL], 1.0, 1.0),  # that it is missing gives it away
    ],
)
def test_how_well_a_column_tells_two_classes(values: object, least: float, most: float) -> None:
    found = strength(column(values), column(LABEL), TRAIN)
    assert found is not None and least <= found <= most


def test_area_is_scikit_learns() -> None:
    from sklearn.metrics import roc_auc_score

    kind = RNG.integers(0, 6, SIZE)
    label = (RNG.random(SIZE) < 0.1 + 0.1 * kind).astype(int)
    rows, ones = np.bincount(kind[TRAIN]), np.bincount(kind[TRAIN], label[TRAIN])
    scores = ((ones + label[TRAIN].mean()) / (rows + 1))[kind]
    names = column([f"kind {one}" for one in kind])
    assert strength(names, column(label), TRAIN) == pytest.approx(roc_auc_score(label[~TRAIN], scores[~TRAIN]))


def test_classes_by_name_and_amounts() -> None:
    classes = RNG.integers(0, 3, SIZE)
    names = column(np.array(["a", "b", "c"])[classes])
    assert strength(column(classes), names, TRAIN) == 1.0
    assert strength(column(NOISE), names, TRAIN) == pytest.approx(0.5, abs=0.06)
    price = RNG.lognormal(3, 1, SIZE)
    told = strength(column(price * 1.19), column(price), TRAIN)
    assert told is not None and told > 0.999
    assert strength(column(NOISE), column(price), TRAIN) == pytest.approx(0, abs=0.1)


def test_ids_of_nineteen_digits_are_told_apart() -> None:
    """Of two neighbours one always has the label: as floats they would be one number."""
    codes = 1540000000000000000 + RNG.integers(0, 100, SIZE)
    told = strength(column(codes), column(codes % 2), TRAIN)
    assert told is not None and told > 0.99


def judged(label: np.ndarray, allowed: Drift | None = None, **columns: object) -> list[CheckResult]:
    """The checks of some rows, a fifth of them held out."""
    sample = {name: column(values) for name, values in columns.items()} | {"tip": column(label)}
    told = strengths(sample, np.arange(len(label)) % 5 != 0, "tip")
    return list(_leakage.checks(told, Profile("span 1", {"": len(label)}, {}), None, "tip", allowed or Drift()))


def test_a_limit_of_1_allows_everything() -> None:
    label = rare(1000, 200)
    assert any(not one.passes for one in judged(label, after=label))
    assert not judged(label, Drift(leakage=1.0), after=label)


@pytest.mark.parametrize(("task", "limit"), [("binary", 0.9), ("reconstruction", 1.0)])
def test_a_label_that_nothing_is_learnt_from_gives_nothing_away(
    tmp_path: pathlib.Path, task: str, limit: float
) -> None:
    said = {"name": "trips", "task": task, "data": {"label": {"column": "tip"}}, "quality": {"drift": {"leakage": 0.9}}}
    graph = Graph(Workload.model_validate(said), 1, Site(tmp_path, tmp_path, tmp_path, tmp_path, "", None, ""))
    graph.outputs = {"examples": Channel(standard_artifacts.Examples), "schema": Channel(standard_artifacts.Schema)}
    assert border.load(Drift, node(graph).exec_properties["allowed"]).leakage == limit


def rare(rows: int, positives: int) -> np.ndarray:
    return (np.random.default_rng(2).permutation(rows) < positives).astype(int)


@pytest.mark.parametrize(
    "leak",
    [lambda y: y, lambda y: y * 7.0 + np.abs(NOISE[: len(y)]), lambda y: np.where(y == 1, "charged back", "paid")],
    ids=["itself", "a number", "a word"],
)
@pytest.mark.parametrize(("rows", "positives"), [(400, 200), (100, 30), (4000, 20), (2000, 10)])
def test_a_leak_is_found_in_few_rows_and_of_a_rare_class(rows: int, positives: int, leak: object) -> None:
    label = rare(rows, positives)
    (found,) = [one for one in judged(label, fare=NOISE[:rows], after=leak(label)) if not one.passes]  # type: ignore[operator]
    assert found.name == "leakage(after)" and found.verdict is Verdict.FAILED
    assert "after alone tells tip: 1.000" in found.message and "with so few rows" in found.message


def test_where_few_rows_say_little_it_is_not_judged() -> None:
    label = rare(30, 4)
    (found,) = judged(label, fare=NOISE[:30], after=label)
    assert found.name == "leakage(after)" and found.verdict is Verdict.NOT_JUDGED and found.severity is Severity.WARNING
    (found,) = judged(label, fare=NOISE[:30])
    assert found.verdict is Verdict.NOT_JUDGED and "too few rows of a class of tip" in found.message
    (found,) = judged(rare(30, 0), fare=NOISE[:30])
    assert found.verdict is Verdict.NOT_JUDGED and found.severity is Severity.INFO
    assert strengths({"fare": column(NOISE)}, TRAIN, "tip") == {}


def test_no_false_alarm_in_few_rows() -> None:
    random, alarms = np.random.default_rng(3), 0
    for _ in range(40):
        label = rare(120, 40)
        honest = label * 2.0 + random.normal(size=120)
        found = judged(
            label,
            honest=honest,
            noise=random.normal(size=120),
            id=np.arange(120),
            word=random.integers(0, 60, 120).astype(str),
        )
        alarms += sum(one.verdict is not Verdict.PASSED for one in found)
    assert alarms == 0


def described(name: str, **told: float) -> Profile:
    return Profile(name, {"": SIZE}, {}, strengths=told)


def test_a_leak_is_a_warning_by_column() -> None:
    found = list(checks(described("span 2", refund=0.998, fare=0.7), None))
    assert [check.name for check in found] == ["leakage(refund)"] and not found[0].passes
    assert "refund alone tells tip: 0.998" in found[0].message
    (fine,) = checks(described("span 2", fare=0.7), None)
    assert fine.passes and "fare does so with 0.700" in fine.message


def test_an_association_that_is_gone_is_a_warning() -> None:
    before = described("span 1", fare=0.92, kind=0.6)
    found = list(checks(described("span 2", fare=0.51, kind=0.5), before))
    assert [check.name for check in found if not check.passes] == ["association(fare)"]
    assert "fare told tip with 0.920 in span 1, and does so with 0.510 now" in found[-1].message
