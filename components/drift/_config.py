"""What counts as a drift: limits of the measures, for all columns and for some."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from components.drift._measures import MEASURES
from components.gates import Severity


@dataclasses.dataclass(frozen=True)
class ColumnLimits:
    """Limits of one column.

    Attributes:
        limits: by measure; a measure without one is recorded and judged by nobody.
        severity: of exceeding one.
    """

    limits: Mapping[str, float]
    severity: Severity = Severity.WARNING


@dataclasses.dataclass(frozen=True)
class DriftConfig:
    """What the detector compares, and when it speaks up.

    Attributes:
        default: limits of every column that has none of its own.
        columns: limits by column.
        slices: columns by whose values the rows are compared separately, too.
        label: the column to predict, None without one; its drift is a label shift.
        min_rows: rows that both sides need: a sample of less says little about a distribution.
        stale: what it means that the span is the one before again.
        rows: share by which a span may be smaller than the one before (0.4: three fifths of it); as much larger, by ratio.
        doubles: by how many of its rows more than the span before may have a twin, as a share.
        overlap: share of a split's rows that may be rows of the splits that the model is made from.
        leakage: how well one column alone may tell the label, 0.5 to 1.
        association: by how much worse a column may tell the label than in the span before.
    """

    default: ColumnLimits = ColumnLimits({"psi": 0.25})
    columns: Mapping[str, ColumnLimits] = dataclasses.field(default_factory=dict)
    slices: tuple[str, ...] = ()
    label: str | None = None
    min_rows: int = 500
    stale: Severity = Severity.WARNING
    rows: float = 0.4
    doubles: float = 0.01
    overlap: float = 0.01
    leakage: float = 0.99
    association: float = 0.2

    def __post_init__(self) -> None:
        for name, one in {"": self.default, **self.columns}.items():
            if unknown := set(one.limits) - set(MEASURES):
                raise ValueError(
                    f"drift{f' of {name!r}' if name else ''}: unknown measure {sorted(unknown)[0]!r}. "
                    f"Known: {', '.join(MEASURES)}."
                )

    def limits(self, column: str) -> ColumnLimits:
        return self.columns.get(column, self.default)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> DriftConfig:
        raw = json.loads(text)
        return cls(
            default=_limits(raw["default"]),
            columns={name: _limits(one) for name, one in raw["columns"].items()},
            slices=tuple(raw["slices"]),
            label=raw["label"],
            min_rows=int(raw["min_rows"]),
            stale=Severity(raw["stale"]),
            rows=float(raw["rows"]),
            doubles=float(raw["doubles"]),
            overlap=float(raw["overlap"]),
            leakage=float(raw["leakage"]),
            association=float(raw["association"]),
        )


def _limits(raw: Mapping) -> ColumnLimits:
    return ColumnLimits(dict(raw["limits"]), Severity(raw["severity"]))
