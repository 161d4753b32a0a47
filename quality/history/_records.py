"""The rows of the history, as plain data."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

SERVING = "serving"
"""The source of a validation of requests to a model server, rather than of a span."""
LIVE = "live"
"""The source of a validation of a served model's answers, by the labels that came later."""
LIVE_GATE = "LiveMetrics"
"""The gate of a validation of that source; its checks of labels have each version's figures as evidence, `metrics` among them."""
OF_MODELS = (SERVING, LIVE)
"""The sources that say something of a model in use, and nothing of the workload's data."""


class Outcome(enum.StrEnum):
    """The verdict of a validation."""

    PASSED = "passed"
    WARNED = "warned"  # complete, but somebody should look
    FAILED = "failed"  # a critical check failed: the data may not be trained on


@dataclasses.dataclass(frozen=True)
class Check:
    """One check of one validation.

    Attributes:
        gate: which gate checked, by the id of its node.
        name: unique within its gate and validation.
        severity: critical, warning or info; for a waived failure, what it would have been.
        message: one sentence with figures.
        expectation: Great Expectations' type; empty for other checks.
        unexpected: how many of `total` values violate it.
        waiver: who waived the failure, until when and why; empty if nobody did.
        evidence: the gate's diagnostics, with `sample`; JSON-serialisable.
        judged: whether it could be judged at all; one that could not does not pass.
    """

    gate: str
    name: str
    passes: bool
    severity: str
    message: str = ""
    column: str = ""
    expectation: str = ""
    unexpected: int | None = None
    total: int | None = None
    waiver: str = ""
    evidence: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    judged: bool = True

    @property
    def failed(self) -> bool:
        return self.judged and not self.passes

    @property
    def words(self) -> str:
        """The finding, for a reader who has not seen the check's name."""
        return f"{self.name} was not judged: {self.message}" if not self.judged else self.message or self.name


@dataclasses.dataclass(frozen=True)
class Column:
    """How one column was distributed in one validation's data.

    Attributes:
        kind: int, float, text, bytes or struct.
        missing: share of the rows without a value, 0 to 1.
        distinct: number of different values; None if not counted (numbers).
        quantiles: value by probability, e.g. `{0.05: 1.2, 0.5: 3.4}`; empty for texts.
        histogram: (low, high, rows) of adjoining buckets; empty for texts.
        top_values: (value, rows), most frequent first; empty for numbers.
    """

    name: str
    kind: str = ""
    rows: int = 0
    missing: float = 0.0
    distinct: int | None = None
    mean: float | None = None
    deviation: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    quantiles: Mapping[float, float] = dataclasses.field(default_factory=dict)
    histogram: tuple[tuple[float, float, float], ...] = ()
    top_values: tuple[tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Change:
    """How far one column's distribution moved from that of a reference.

    Attributes:
        kind: `drift` (against another span), `skew` (training against serving), `label_shift` or `prediction_drift`.
        measure: psi, kolmogorov_smirnov, jensen_shannon or l_infinity.
        value: of the measure; 0 means the same distribution.
        limit: None if the workload sets none.
        slice: `column=value`; empty: all rows.
        reference: what it was compared with, in words, e.g. `span 11`.
    """

    kind: str
    column: str
    measure: str
    value: float
    limit: float | None = None
    severity: str = "warning"
    slice: str = ""
    reference: str = ""

    @property
    def exceeded(self) -> bool:
        return self.limit is not None and self.value > self.limit


@dataclasses.dataclass(frozen=True)
class Release:
    """A release of a workload, for marking it on a time axis."""

    workload: str
    version: int
    span: int | None
    released_at: str
    run_id: str = ""


@dataclasses.dataclass(frozen=True)
class Validation:
    """One validation of one span's data: the unit that has its own page and URL.

    Attributes:
        id: the run's id, or that of the check outside of a run; never reused.
        span: its number; None for data without spans.
        created_at: ISO 8601, UTC.
        source: `run` (a training run's gates), `check` (of data outside of a run), `serving` (what a model was asked) or
            `live` (how well it answered).
        rows: how many were checked.
        quarantined: how many were set aside before.
        owner: who has to act.
        data: where the data lies.
        error: what stopped the validation itself; empty if nothing did.
        documents: further pages, name -> where they lie: `data_docs`, `report`.
        reference: id of the validation whose data this was compared with; empty: the previous span's, if any.
    """

    id: str
    workload: str
    span: int | None
    created_at: str
    outcome: Outcome
    headline: str
    source: str = "run"
    rows: int | None = None
    quarantined: int = 0
    owner: str = ""
    data: str = ""
    error: str = ""
    documents: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reference: str = ""
    checks: tuple[Check, ...] = ()
    columns: tuple[Column, ...] = ()
    changes: tuple[Change, ...] = ()
