"""Compares two profiles, and turns measures and limits into the checks of a gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from components.drift.distributions import Categories, Distribution, Numbers
from components.drift.measures import compare
from components.drift.profile import ALL, Profile
from components.gates import CheckResult, Severity
from spec.workload import ColumnLimits

DRIFT, LABEL_SHIFT, SKEW, PREDICTION_DRIFT = "drift", "label_shift", "skew", "prediction_drift"
_NAMES = {
    "psi": "PSI",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
    "jensen_shannon": "Jensen-Shannon",
    "l_infinity": "L-infinity",
}
_WORDS = {DRIFT: "drifted", LABEL_SHIFT: "shifted", SKEW: "is skewed", PREDICTION_DRIFT: "drifted"}


@dataclasses.dataclass(frozen=True)
class ColumnComparison:
    """One column's distance from the reference, in one slice.

    Attributes:
        kind: drift, label_shift, skew or prediction_drift.
        slice: `column=value`; empty: all rows.
        reference: what it was compared with, in words.
        limits: by measure, for those that have one.
        message: where it moved, in words, with figures.
    """

    kind: str
    column: str
    slice: str
    reference: str
    measures: Mapping[str, float]
    limits: Mapping[str, float]
    severity: str
    message: str = ""

    @property
    def exceeded(self) -> dict[str, float]:
        """The measures beyond their limits."""
        return {name: v for name, v in self.measures.items() if name in self.limits and v > self.limits[name]}


def comparisons(
    new: Profile, reference: Profile, allowed: ColumnLimits, kind: str = DRIFT, label: str = ""
) -> Iterator[ColumnComparison]:
    """Compares every column that both profiles have in every slice that both have, where both have enough rows.

    Args:
        allowed: limits, and the rows that both need.
        kind: of what is found: drift, skew or prediction_drift.
        label: the column whose drift is a label shift.
    """
    for part, columns in new.distributions.items():
        if min(new.rows.get(part, 0), reference.rows.get(part, 0)) < allowed.min_rows:
            continue
        known = reference.distributions.get(part, {})
        for column, distribution in columns.items():
            before = known.get(column)
            if type(before) is not type(distribution) or before is None:
                continue  # its type has changed, or it is new, which the schema's gate reports
            limits = allowed.of(column)
            yield ColumnComparison(
                LABEL_SHIFT if kind == DRIFT and column == label else kind,
                column,
                part,
                reference.name,
                compare(distribution, before),
                limits.by_measure(),
                limits.severity.value,
                _moved(distribution, before, column in {*new.personal, *reference.personal}),
            )


def check(one: ColumnComparison) -> CheckResult:
    """A comparison as a check of the gate; without limits it passes and is only recorded."""
    exceeded = one.exceeded
    where = f"{one.column} where {one.slice}" if one.slice != ALL else one.column
    name = f"{one.kind}({one.column}{f', {one.slice}' if one.slice != ALL else ''})"
    if exceeded:
        told = ", ".join(f"{_NAMES[m]} {value:.3g} (limit {one.limits[m]:g})" for m, value in exceeded.items())
        message = f"{where} {_WORDS[one.kind]} from {one.reference}: {told}. {one.message}"
    else:
        message = ", ".join(f"{_NAMES[m]} {value:.3g}" for m, value in one.measures.items())
    severity = Severity(one.severity) if one.limits else Severity.INFO
    return CheckResult(name, not exceeded, severity, message, dataclasses.asdict(one))


def _moved(new: Distribution, before: Distribution, is_personal: bool = False) -> str:
    """The largest moves, in words: what people look for first. No values of personal columns."""
    parts = []
    gone = (new.missing / max(1, new.rows + new.missing)), (before.missing / max(1, before.rows + before.missing))
    if abs(gone[0] - gone[1]) >= 0.01:
        parts.append(f"missing: {_percent(gone[0])} after {_percent(gone[1])}")
    if is_personal:
        parts.append("its values are personal and not shown")
    elif isinstance(new, Numbers) and isinstance(before, Numbers) and new.rows and before.rows:
        tenths = np.array([0.1, 0.5, 0.9])
        now, then = new.quantile(tenths), before.quantile(tenths)
        parts.append(f"10 %, 50 % and 90 % quantiles {_figures(now)}, before {_figures(then)}")
    elif isinstance(new, Categories) and isinstance(before, Categories) and new.rows and before.rows:
        parts += _moved_names(new, before)
    return f"{'; '.join(parts)}." if parts else ""


def _moved_names(new: Categories, before: Categories) -> list[str]:
    shares = {
        name: (new.counts.get(name, 0) / new.rows, before.counts.get(name, 0) / before.rows)
        for name in {**before.counts, **new.counts}
    }
    largest = sorted(shares, key=lambda name: -abs(shares[name][0] - shares[name][1]))[:3]
    return [f"{_shown(name)}: {_percent(shares[name][0])} after {_percent(shares[name][1])}" for name in largest]


def _figures(values: np.ndarray) -> str:
    return " / ".join(f"{value:.4g}" for value in values)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:39]}…")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
