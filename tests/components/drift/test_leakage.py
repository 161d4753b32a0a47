"""Columns that give the label away, and columns that no longer know anything of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.drift import DriftConfig, Profile
from components.drift._leakage import checks, strength, strengths

SIZE = 4000
TRAIN = np.arange(SIZE) % 5 != 0
RNG = np.random.default_rng(1)
LABEL = RNG.integers(0, 2, SIZE)
NOISE = RNG.normal(size=SIZE)


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


def test_too_few_rows_say_nothing() -> None:
    rare = (np.arange(SIZE) < 40).astype(int)
    assert strength(column(rare), column(rare), TRAIN) is None
    assert strengths({"fare": column(NOISE)}, TRAIN, "tip") == {}


def described(name: str, **told: float) -> Profile:
    return Profile(name, {"": SIZE}, {}, strengths=told)


def test_a_leak_is_a_warning_by_column() -> None:
    found = list(checks(described("span 2", refund=0.998, fare=0.7), None, DriftConfig(label="tip")))
    assert [check.name for check in found] == ["leakage(refund)"] and not found[0].passes
    assert "refund alone tells tip: 0.998" in found[0].message
    (fine,) = checks(described("span 2", fare=0.7), None, DriftConfig(label="tip"))
    assert fine.passes and "fare does so with 0.700" in fine.message


def test_an_association_that_is_gone_is_a_warning() -> None:
    before = described("span 1", fare=0.92, kind=0.6)
    found = list(checks(described("span 2", fare=0.51, kind=0.5), before, DriftConfig(label="tip")))
    assert [check.name for check in found if not check.passes] == ["association(fare)"]
    assert "fare told tip with 0.920 in span 1, and does so with 0.510 now" in found[-1].message
