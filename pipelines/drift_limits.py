"""From workload.yaml's quality section to what the drift and skew gates are told."""

from __future__ import annotations

from components.drift import ColumnLimits, DriftConfig
from components.gates import Severity
from spec.workload import DriftLimits, Workload


def drift_config(workload: Workload) -> DriftConfig:
    """How far a span may move from its reference."""
    drift = workload.quality.drift
    return DriftConfig(
        default=_limits(drift.limits),
        columns={name: _limits(one) for name, one in drift.columns.items()},
        slices=drift.slices,
        label=workload.data.label_column,
        min_rows=drift.min_rows,
        stale=Severity(drift.stale),
        rows=drift.rows,
        doubles=drift.doubles,
        overlap=drift.overlap,
        leakage=drift.leakage,
        association=drift.association,
    )


def skew_configs(workload: Workload) -> tuple[DriftConfig, DriftConfig]:
    """How far requests may be from the training data, and the answers to them from those on the test split."""
    skew = workload.quality.skew
    columns = {name: _limits(one) for name, one in skew.columns.items()}
    return (
        DriftConfig(default=_limits(skew.limits), columns=columns, min_rows=skew.min_rows),
        DriftConfig(default=_limits(skew.predictions), min_rows=skew.min_rows),
    )


def _limits(one: DriftLimits) -> ColumnLimits:
    known = one.model_dump(exclude={"severity"}, exclude_none=True)
    return ColumnLimits(known, Severity(one.severity))
