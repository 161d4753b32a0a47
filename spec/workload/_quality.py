"""What a workload says of its data's quality: what stops a run, how far spans may move, how far requests may differ."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spec.section import Distance, Fraction, LookedAtColumn, Section
from spec.severity import Severity


class DriftLimits(Section):
    psi: Distance | None = None
    """Population stability index: below 0.1 is usually called stable, above 0.25 a shift."""
    kolmogorov_smirnov: Distance | None = Field(default=None, le=1)
    """The largest distance between the distribution functions, 0 to 1; numbers only."""
    jensen_shannon: Distance | None = Field(default=None, le=1)
    """Jensen-Shannon divergence with base 2, 0 to 1."""
    l_infinity: Distance | None = Field(default=None, le=1)
    """The largest change of one value's share, 0 to 1; texts, codes and booleans only."""
    severity: Severity = Severity.WARNING
    """Of exceeding a limit; critical stops the run."""

    def by_measure(self) -> dict[str, float]:
        """The limits that there are; a measure without one is recorded and not judged."""
        return self.model_dump(exclude={"severity"}, exclude_none=True)


class ColumnLimits(Section):
    """How far columns may be from those that they are compared with."""

    limits: DriftLimits = DriftLimits(psi=0.25)
    """Limits of every column that has none of its own."""
    columns: dict[LookedAtColumn, DriftLimits] = Field(default_factory=dict)
    """Limits by column, instead of the general ones; `{}` for a column that may differ as it likes, such as a month."""
    min_rows: int = Field(default=500, ge=1)
    """Rows that both sides of a comparison need: a smaller sample says little about a distribution."""

    def of(self, column: str) -> DriftLimits:
        return self.columns.get(column, self.limits)


class Drift(ColumnLimits):
    reference: Literal["previous", "champion"] = "previous"
    """What a span is compared with: the span before it, or the newest span that the stable release was trained on."""
    slices: tuple[LookedAtColumn, ...] = ()
    """Columns by whose values the rows are compared separately, too."""
    stale: Severity = Severity.WARNING
    """What it means that a span is the one before again: the same bytes, or the same rows in other files or another order."""
    rows: float = Field(default=0.4, ge=0, le=1)
    """By how much of its rows a span may be smaller than the one before without a warning, and by the same ratio larger: 0.4 is
    three fifths to five thirds. 1: any number will do."""
    doubles: Fraction = 0.01
    """By what share of its rows more than in the span before may be there twice, alike in every column, without a warning."""
    overlap: Fraction = 0.01
    """Share of test's rows that may be rows of train or eval, and of eval's that may be rows of train, but for the label, without a
    warning."""
    leakage: float = Field(default=0.99, ge=0.5, le=1)
    """How well one column alone may tell the label without a warning: area under the ROC curve (of amounts, rank correlation), on
    rows that were not looked at before. 1: as well as it likes."""
    association: Fraction = 0.2
    """By how much worse than in the span before one column may tell the label without a warning, in the same measure."""


class Skew(ColumnLimits):
    predictions: DriftLimits = DriftLimits(psi=0.25)
    """How far the answers may be from those on the test split."""


class Quality(Section):
    fail_on: Literal["critical", "warning", "never"] = "critical"
    """The least severity of a failed expectation that stops the run."""
    keys: tuple[LookedAtColumn, ...] = ()
    """Columns that say which row a finding is about, such as an order's number; shown beside each failing row. Default:
    `data.split.key` and `data.query`."""
    drift: Drift = Drift()
    """How far a span may move from the one before it."""
    skew: Skew = Skew()
    """How far requests may be from the training data (`trainyard skew`)."""
