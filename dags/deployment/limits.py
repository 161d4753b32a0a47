"""Whether a canary's traffic keeps to `serving.canary.limits`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dags.deployment.traffic import Window, drift
from spec.workload import CanaryLimits


@dataclass(frozen=True)
class Traffic:
    """What canary and stable answered in the same stretch of time."""

    canary: Window
    stable: Window


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        reasons: the limits that are exceeded, in words.
        proven: whether there were enough requests for the figures to be meaningful.
    """

    reasons: tuple[str, ...]
    proven: bool
    summary: str
    drift: float | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "reasons": list(self.reasons),
            "proven": self.proven,
            "summary": self.summary,
            "prediction_drift": self.drift,
        }


def judge(traffic: Traffic, limits: CanaryLimits) -> Verdict:
    """Compares a window with the limits. May be called at any time: a limit that is exceeded early stays exceeded."""
    canary = traffic.canary
    proven = canary.requests >= limits.min_requests
    reasons = []
    # Even if all requests still to come succeed, the rate stays above the limit.
    if canary.errors > limits.error_rate * max(canary.requests, limits.min_requests):
        reasons.append(
            f"{canary.errors} of {canary.requests} requests of the canary failed; "
            f"canary.limits.error_rate allows {limits.error_rate:.1%}"
        )
    if proven and canary.p99_ms is not None and canary.p99_ms > limits.p99_ms:
        reasons.append(
            f"the canary's 99th percentile is {canary.p99_ms:.0f} ms; canary.limits.p99_ms allows {limits.p99_ms:g} ms"
        )
    found = _drift(traffic, limits.min_requests)
    if found is not None and found[1] > limits.prediction_drift:
        reasons.append(
            f"the predictions ({found[0]}) have drifted from stable's by {found[1]:.3f} (Jensen-Shannon); "
            f"canary.limits.prediction_drift allows {limits.prediction_drift:g}"
        )
    return Verdict(tuple(reasons), proven, _in_words(traffic, found), None if found is None else found[1])


def _drift(traffic: Traffic, min_rows: int) -> tuple[str, float] | None:
    def enough(window: Window) -> dict[str, dict[str, float]]:
        return {output: dict(bins) for output, bins in window.predictions.items() if sum(bins.values()) >= min_rows}

    # Only answers of the same time compare: callers ask different things in the morning than at night.
    return drift(enough(traffic.canary), enough(traffic.stable))


def _in_words(traffic: Traffic, found: tuple[str, float] | None) -> str:
    def one(name: str, window: Window) -> str:
        p99 = "" if window.p99_ms is None else f", p99 {window.p99_ms:.0f} ms"
        return f"{name} {window.requests} requests, {window.errors} failed{p99}"

    text = f"{one('canary', traffic.canary)}; {one('stable', traffic.stable)}"
    return text if found is None else f"{text}; prediction drift {found[1]:.3f} ({found[0]})"
