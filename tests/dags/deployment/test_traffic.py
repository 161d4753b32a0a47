"""Figures of a stretch of traffic, and the limits they are held against."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from dags.deployment.limits import Traffic, judge
from dags.deployment.traffic import Window, divergence, drift, quantile, read_metrics, window
from spec.workload import CanaryLimits

METRICS = """\
# HELP trainyard_serving_requests_total Requests
trainyard_serving_requests_total{code="OK",label="canary",method="predict",model="m",protocol="rest",version="2"} 90.0
trainyard_serving_requests_total{code="OK",label="canary",method="predict",model="m",protocol="grpc",version="2"} 5.0
trainyard_serving_requests_total{code="INTERNAL",label="canary",method="predict",model="m",protocol="rest",version="2"} 3.0
trainyard_serving_requests_total{code="INVALID_ARGUMENT",label="",method="predict",model="m",protocol="rest",version="2"} 2.0
trainyard_serving_requests_total{code="OK",label="stable",method="predict",model="other",protocol="rest",version="2"} 7.0
trainyard_serving_request_seconds_bucket{label="canary",le="0.1",method="predict",model="m",protocol="rest",version="2"} 98.0
trainyard_serving_request_seconds_bucket{label="canary",le="0.2",method="predict",model="m",protocol="rest",version="2"} 100.0
trainyard_serving_request_seconds_bucket{label="canary",le="+Inf",method="predict",model="m",protocol="rest",version="2"} 100.0
trainyard_serving_predictions_total{bin="a \\"b\\\\",model="m",output="label",version="2"} 95.0
trainyard_serving_canary_share{model="m"} 0.05
trainyard_serving_ready 1.0
"""


def test_metrics_are_read_by_version() -> None:
    snapshot, share = read_metrics(METRICS, "m")
    assert share == 0.05
    assert snapshot["2"]["codes"] == {"OK": 95.0, "INTERNAL": 3.0, "INVALID_ARGUMENT": 2.0}
    seen = window({}, snapshot, 2)
    assert (seen.requests, seen.errors, seen.p99_ms) == (100, 3, pytest.approx(150.0))
    assert seen.predictions == {"label": {'a "b\\': 95.0}}
    assert window(snapshot, snapshot, 2) == Window(predictions={})
    assert window({}, snapshot, None) == Window()


def test_server_that_was_restarted_begins_its_counters_anew() -> None:
    before = {"2": {"codes": {"OK": 90.0, "INTERNAL": 1.0}, "buckets": {}, "predictions": {}}}
    after = {"2": {"codes": {"OK": 20.0}, "buckets": {}, "predictions": {}}}
    assert window(before, after, 2).requests == 20


def test_quantile() -> None:
    assert quantile({}, 0.99) is None
    assert quantile({"1": 0, "+Inf": 0}, 0.99) is None
    assert quantile({"1": 50, "2": 100, "+Inf": 100}, 0.75) == pytest.approx(1.5)
    assert quantile({"1": 50, "2": 60, "+Inf": 100}, 0.99) == 2.0, "above the last bound nothing more is known"


def test_divergence_is_zero_for_alike_one_for_apart_and_bears_small_samples() -> None:
    assert divergence({"a": 500, "b": 500}, {"a": 5000, "b": 5000}) == 0.0
    assert divergence({"a": 5000}, {"b": 5000}) == pytest.approx(1.0, abs=0.001)
    # p = (1, 0), q = (1/2, 1/2): H(3/4, 1/4) - 1/2 = 0.3113 bits
    assert divergence({"a": 100_000}, {"a": 50_000, "b": 50_000}) == pytest.approx(0.3113, abs=0.001)
    chance = random.Random(1)

    def sample(rows: int, shift: float = 0.0) -> dict[str, float]:
        return Counter(f"{min(19, max(0, int(chance.gauss(10 + shift, 3)))) / 20:.2f}" for _ in range(rows))

    alike = [divergence(sample(100), sample(1000)) for _ in range(100)]
    assert max(alike) < CanaryLimits().prediction_drift / 2
    assert min(divergence(sample(100, 4), sample(1000)) for _ in range(100)) > CanaryLimits().prediction_drift


def test_numbers_are_compared_by_neighbourhood_and_rare_classes_together() -> None:
    numbers = {f"{n}": 10.0 for n in range(100)}
    shifted = {f"{n + 0.5}": 10.0 for n in range(100)}
    assert divergence(numbers, shifted) < 0.02, "other bins, the same distribution"
    classes = {f"class {n}": 1.0 for n in range(30)} | {"common": 1000.0}
    assert divergence(classes, {"common": 1000.0}) < 0.02
    assert drift({"a": {"x": 9.0}, "b": {"x": 9.0}}, {"a": {"x": 9.0}, "b": {"y": 9.0}, "c": {}})[0] == "b"  # type: ignore[index]
    assert drift({"a": {"x": 9.0}}, {"b": {"x": 9.0}}) is None


def look(
    requests: int,
    errors: int = 0,
    p99_ms: float = 10.0,
    bins: dict[str, float] | None = None,
    stable_rows: int = 1000,
) -> tuple[str, ...]:
    predictions = {"label": bins if bins is not None else {"a": requests / 2, "b": requests / 2}}
    canary = Window(requests, errors, p99_ms, predictions)
    stable = Window(stable_rows, 0, 5.0, {"label": {"a": stable_rows / 2, "b": stable_rows / 2}})
    limits = CanaryLimits(error_rate=0.02, p99_ms=100, prediction_drift=0.1, min_requests=100)
    return judge(Traffic(canary, stable), limits).reasons


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (look(100, errors=2), ""),
        (look(100, errors=3), "3 of 100 requests of the canary failed; canary.limits.error_rate allows 2.0%"),
        (look(3, errors=3), "3 of 3 requests"),
        (look(3, errors=2), ""),
        (look(100, p99_ms=101), "99th percentile is 101 ms; canary.limits.p99_ms allows 100 ms"),
        (look(99, p99_ms=101), ""),
        (look(100, bins={"a": 100}), "the predictions (label) have drifted from stable's by 0.3"),
        (look(99, bins={"a": 99}), ""),
        (look(100, bins={"a": 100}, stable_rows=99), ""),
    ],
)
def test_limits(reasons: tuple[str, ...], expected: str) -> None:
    assert expected in "; ".join(reasons) if expected else reasons == ()
