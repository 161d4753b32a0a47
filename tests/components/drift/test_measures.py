"""Distributions and the measures between them, against scipy, TFDV's own comparator and hand counts."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import spatial, stats

from components.drift.distributions import Categories, Numbers, categories, from_json, numbers
from components.drift.measures import compare

RNG = np.random.default_rng(7)
_EXPONENTIAL = RNG.exponential(size=20_000)


def zeros(share: float) -> np.ndarray:
    values = RNG.exponential(size=20_000)
    values[: int(share * len(values))] = 0
    return values


@pytest.mark.parametrize(
    ("new", "reference"),
    [
        (RNG.normal(size=20_000), RNG.normal(0.1, 1.1, size=30_000)),
        (RNG.normal(size=20_000), RNG.normal(size=20_000)),
        (RNG.integers(0, 24, 20_000), np.minimum(23, RNG.integers(0, 25, 20_000))),
        (zeros(0.3), zeros(0.45)),
        (np.round(RNG.normal(size=50_000) * 10, 0), np.round(RNG.normal(size=50_000) * 11, 2)),
        (RNG.normal(size=30), RNG.normal(size=25)),
        (_EXPONENTIAL, _EXPONENTIAL * 1000),
    ],
    ids=["shifted", "same", "hours", "many zeros", "rounded against fine", "few", "another unit"],
)
def test_kolmogorov_smirnov_is_scipys(new: np.ndarray, reference: np.ndarray) -> None:
    found = compare(numbers(pa.array(new)), numbers(pa.array(reference)))["kolmogorov_smirnov"]
    assert found == pytest.approx(stats.ks_2samp(new, reference).statistic, abs=1 / 400)


def test_psi_by_hand() -> None:
    """Two values, half and half before, nine to one now: (0.9 - 0.5) ln(0.9 / 0.5) + (0.1 - 0.5) ln(0.1 / 0.5)."""
    expected = 0.4 * math.log(1.8) - 0.4 * math.log(0.2)
    new, reference = Categories({"a": 900, "b": 100}, 0, 0), Categories({"a": 500, "b": 500}, 0, 0)
    found = compare(new, reference)
    assert found["psi"] == pytest.approx(expected) and found["l_infinity"] == pytest.approx(0.4)
    distance = spatial.distance.jensenshannon([0.9, 0.1], [0.5, 0.5], base=2)
    assert found["jensen_shannon"] == pytest.approx(distance**2)


@pytest.mark.parametrize(
    ("values", "rows"),
    [(3_000, 6_000), (200, 600), (5_000, 200_000), (40, 500)],
    ids=["addresses", "few rows", "more values than are kept", "least rows"],
)
def test_samples_of_one_distribution_of_names_do_not_drift(values: int, rows: int) -> None:
    new, reference = (categories(pa.array(RNG.integers(0, values, rows).astype(str))) for _ in range(2))
    assert compare(new, reference)["psi"] < 0.2


def test_a_frequent_name_that_comes_among_rare_ones_is_a_change() -> None:
    before = RNG.integers(0, 3_000, 6_000).astype(str)
    after = np.where(RNG.random(6_000) < 0.2, "unknown", RNG.integers(0, 3_000, 6_000).astype(str))
    found = compare(categories(pa.array(after)), categories(pa.array(before)))
    assert found["psi"] > 0.25 and found["l_infinity"] == pytest.approx(0.2, abs=0.02)


def test_psi_of_numbers_is_that_of_the_references_tenths() -> None:
    reference, new = RNG.normal(size=50_000), RNG.normal(0.5, 1, size=40_000)
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    p = np.histogram(new, [-np.inf, *edges, np.inf])[0] / len(new)
    q = np.histogram(reference, [-np.inf, *edges, np.inf])[0] / len(reference)
    expected = float(np.sum((p - q) * np.log(p / q)))
    assert compare(numbers(pa.array(new)), numbers(pa.array(reference)))["psi"] == pytest.approx(expected, rel=0.02)


def test_values_that_go_missing_are_a_change() -> None:
    values = RNG.normal(size=10_000)
    gone = pa.array(values, mask=np.arange(10_000) < 3_000)
    nan = pa.array(np.where(np.arange(10_000) < 3_000, np.nan, values))
    found = compare(numbers(gone), numbers(pa.array(values)))
    assert found["psi"] > 1 and found == compare(numbers(nan), numbers(pa.array(values)))
    assert found["kolmogorov_smirnov"] < 0.05  # of those that have a value


def test_l_infinity_is_tfdvs() -> None:
    """TFDV's comparator on the same columns reports the same distance."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    before = pd.DataFrame({"kind": ["a"] * 60 + ["b"] * 30 + ["c"] * 10})
    after = pd.DataFrame({"kind": ["a"] * 30 + ["b"] * 55 + ["d"] * 15})
    statistics = [tfdv.generate_statistics_from_dataframe(frame) for frame in (before, after)]
    schema = tfdv.infer_schema(statistics[0])
    tfdv.get_feature(schema, "kind").drift_comparator.infinity_norm.threshold = 0.001
    anomalies = tfdv.validate_statistics(statistics[1], schema, previous_statistics=statistics[0])
    told = next(iter(anomalies.drift_skew_info)).drift_measurements[0].value
    found = compare(categories(pa.array(after["kind"])), categories(pa.array(before["kind"])))
    assert found["l_infinity"] == pytest.approx(told) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "one",
    [
        numbers(pa.array([1.0, float("nan"), None, float("inf"), 1.0])),
        numbers(pa.chunked_array([pa.array(RNG.normal(size=5_000)), pa.array([], pa.float64())])),
        numbers(pa.array([], pa.int64())),
        categories(pa.chunked_array([pa.array([b"a", b"\xff", None])])),
        categories(pa.array([str(i) for i in range(3_000)])),
        categories(pa.array([True, False, True])),
        categories(pa.array(["a", "b"]).dictionary_encode()),
    ],
    ids=lambda one: type(one).__name__,
)
def test_distributions_keep_their_meaning_in_json_and_do_not_differ_from_themselves(one: Numbers | Categories) -> None:
    again = from_json(json.loads(json.dumps(one.to_json())))
    assert (again.rows, again.missing) == (one.rows, one.missing)
    assert all(value == pytest.approx(0, abs=1e-12) for value in compare(one, again).values())
    assert len(json.dumps(one.to_json())) < 40_000


def test_an_empty_side_is_no_change_of_zero_but_nothing() -> None:
    assert compare(numbers(pa.array([], pa.float64())), numbers(pa.array([1.0]))) == {}
    empty = compare(numbers(pa.array([None, None], pa.float64())), numbers(pa.array([1.0, 2.0])))
    assert empty["psi"] > 1 and "kolmogorov_smirnov" not in empty


def test_numbers_against_names_is_an_error() -> None:
    with pytest.raises(TypeError, match="Received: Numbers, Categories"):
        compare(numbers(pa.array([1.0])), categories(pa.array(["1"])))
