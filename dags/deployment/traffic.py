"""A version's traffic between two readings of its counters: errors, latency, distribution of predictions."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Counts = dict[str, float]
Snapshot = dict[str, dict[str, Any]]
"""version -> {"codes": {code: requests}, "buckets": {seconds: requests}, "predictions": {output: {bin: rows}}}, as JSON."""

_PREFIX = "trainyard_serving_"
_SERIES = re.compile(rf"{_PREFIX}(\w+)\{{(.*)\}} (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
# The caller's own mistakes say nothing about the version. A request that only the canary refuses counts as INTERNAL.
_NOT_THE_VERSIONS_FAULT = frozenset({"OK", "INVALID_ARGUMENT", "NOT_FOUND"})
_GROUPS = 10


@dataclass(frozen=True)
class Window:
    """One version's requests over a period.

    Attributes:
        p99_ms: 99th percentile of the latency in milliseconds; None without requests.
        predictions: output -> bin -> rows.
    """

    requests: int = 0
    errors: int = 0
    p99_ms: float | None = None
    predictions: Mapping[str, Counts] = field(default_factory=dict)

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0


def read_metrics(text: str, model: str) -> tuple[Snapshot, float | None]:
    """The counters of a model's versions in the model server's /metrics, and the canary's share there.

    Example:
        >>> line = 'trainyard_serving_predictions_total{model="m",version="2",output="label",bin="a"} 5.0'
        >>> read_metrics(line, "m")[0]["2"]["predictions"]
        {'label': {'a': 5.0}}
    """
    snapshot: Snapshot = {}
    share = None
    for name, labels, value in map(_series, text.splitlines()):
        if labels.get("model") != model:
            continue
        if name == "canary_share":
            share = value
        if name not in ("requests_total", "request_seconds_bucket", "predictions_total"):
            continue
        version = snapshot.setdefault(labels["version"], {"codes": {}, "buckets": {}, "predictions": {}})
        if name == "requests_total":
            _add(version["codes"], labels["code"], value)
        elif name == "request_seconds_bucket":
            _add(version["buckets"], labels["le"], value)
        else:
            _add(version["predictions"].setdefault(labels["output"], {}), labels["bin"], value)
    return snapshot, share


def _series(line: str) -> tuple[str, dict[str, str], float]:
    match = _SERIES.fullmatch(line)
    if match is None:
        return "", {}, 0.0
    labels = {name: re.sub(r"\\.", lambda m: _ESCAPED.get(m[0], m[0]), text) for name, text in _LABEL.findall(match[2])}
    return match[1], labels, float(match[3])


def _add(counts: Counts, key: str, value: float) -> None:
    counts[key] = counts.get(key, 0.0) + value


def window(before: Snapshot, after: Snapshot, version: int | None) -> Window:
    """What happened to a version between two snapshots."""
    old, new = before.get(str(version), {}), after.get(str(version), {})
    codes = _increase(old.get("codes", {}), new.get("codes", {}))
    buckets = _increase(old.get("buckets", {}), new.get("buckets", {}))
    predictions = {
        output: _increase(old.get("predictions", {}).get(output, {}), bins)
        for output, bins in new.get("predictions", {}).items()
    }
    errors = sum(count for code, count in codes.items() if code not in _NOT_THE_VERSIONS_FAULT)
    seconds = quantile(buckets, 0.99)
    return Window(
        requests=round(sum(codes.values())),
        errors=round(errors),
        p99_ms=None if seconds is None else seconds * 1000,
        predictions={output: bins for output, bins in predictions.items() if sum(bins.values())},
    )


def _increase(before: Mapping[str, float], after: Mapping[str, float]) -> Counts:
    """How far counters went up. If one fell, the server was restarted and counts from zero."""
    restarted = any(after.get(key, 0.0) < count for key, count in before.items())
    return {key: count - (0.0 if restarted else before.get(key, 0.0)) for key, count in after.items()}


def quantile(buckets: Mapping[str, float], share: float) -> float | None:
    """A quantile of a Prometheus histogram, by linear interpolation within its bucket; None if it is empty.

    Args:
        buckets: upper bound -> how many values lie at or below it.

    Returns:
        In the unit of the bounds; the greatest finite bound if the quantile lies above it.
    """
    bounds = sorted((float(bound), count) for bound, count in buckets.items())
    if not bounds or not bounds[-1][1]:
        return None
    wanted = share * bounds[-1][1]
    lower = below = 0.0
    for bound, count in bounds:
        if count >= wanted:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (wanted - below) / (count - below if count > below else 1.0)
        lower, below = bound, count
    return lower


def drift(canary: Mapping[str, Counts], stable: Mapping[str, Counts]) -> tuple[str, float] | None:
    """The output whose predictions differ most, and by how much (`divergence`); None if there is nothing to compare."""
    found = [
        (output, divergence(canary[output], stable[output]))
        for output in sorted(canary.keys() & stable.keys())
        if sum(canary[output].values()) and sum(stable[output].values())
    ]
    return max(found, key=lambda pair: pair[1], default=None)


def divergence(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Jensen-Shannon divergence of two histograms in bits, 0 (equal) to 1 (disjoint), less what is due to chance.

    JSD(P, Q) = H((P + Q) / 2) - (H(P) + H(Q)) / 2, with H(P) = -sum p log2 p (J. Lin, "Divergence measures based on the
    Shannon entropy", IEEE Transactions on Information Theory 37, 1991). Two samples of n and m rows from one distribution
    over k bins still differ by about (k - 1)(1/n + 1/m) / (8 ln 2), by JSD's second-order expansion. That much is subtracted,
    so that a small canary is not blamed for its size. Neighbouring bins of numbers are merged into at most ten of about equal weight.
    """
    groups = _grouped(one, other)
    n, m = sum(one.values()), sum(other.values())
    p = [sum(one.get(bin_, 0.0) for bin_ in group) / n for group in groups]
    q = [sum(other.get(bin_, 0.0) for bin_ in group) / m for group in groups]
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    by_chance = (len(groups) - 1) * (1 / n + 1 / m) / (8 * math.log(2))
    return min(1.0, max(0.0, _entropy(middle) - (_entropy(p) + _entropy(q)) / 2 - by_chance))


def _entropy(shares: list[float]) -> float:
    return -sum(share * math.log2(share) for share in shares if share > 0)


def _grouped(one: Mapping[str, float], other: Mapping[str, float]) -> list[list[str]]:
    n, m = sum(one.values()), sum(other.values())
    weights = {bin_: one.get(bin_, 0.0) / n + other.get(bin_, 0.0) / m for bin_ in one.keys() | other.keys()}
    try:
        ordered = sorted(weights, key=float)
    except ValueError:  # classes have no order: the rare ones share a group
        ordered = sorted(weights, key=lambda bin_: -weights[bin_])
    if len(ordered) <= _GROUPS:
        return [[bin_] for bin_ in ordered]
    groups: defaultdict[int, list[str]] = defaultdict(list)
    passed = 0.0
    for bin_ in ordered:
        groups[min(_GROUPS - 1, int(passed / 2 * _GROUPS))].append(bin_)
        passed += weights[bin_]
    return list(groups.values())
