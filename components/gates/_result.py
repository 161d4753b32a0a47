from __future__ import annotations

import dataclasses
import enum
import json
from typing import Any

from components.errors import InputError


class Severity(enum.StrEnum):
    """How much a failed check matters."""

    CRITICAL = "critical"  # stops the run
    WARNING = "warning"  # marks the run
    INFO = "info"  # is recorded


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        name: the check, as its own field calls it, e.g. `expect_column_values_to_not_be_null(fare)`.
        passes: whether the check holds.
        severity: what a failure means.
        message: one sentence with figures: what was found, what was allowed, what to do.
        diagnostics: JSON-serialisable evidence, e.g. `{"unexpected_count": 3, "sample": [...]}`.
    """

    name: str
    passes: bool
    severity: Severity = Severity.CRITICAL
    message: str = ""
    diagnostics: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class GateResult:
    """All that a gate checked. It passes if no critical check failed."""

    gate: str
    checks: tuple[CheckResult, ...]

    @property
    def passes(self) -> bool:
        return not self.failures(Severity.CRITICAL)

    def failures(self, severity: Severity | None = None) -> tuple[CheckResult, ...]:
        """The failed checks, of one severity or of all."""
        return tuple(c for c in self.checks if not c.passes and severity in (None, c.severity))

    def summary(self) -> str:
        """One line: the verdict, then up to three failed critical checks."""
        failed = self.failures(Severity.CRITICAL)
        warned = self.failures(Severity.WARNING)
        if not failed:
            return f"{self.gate}: {len(self.checks)} checks passed" + (f", {len(warned)} warnings" if warned else "")
        named = "; ".join((c.message or c.name).rstrip(".") for c in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        return f"{self.gate}: {len(failed)} of {len(self.checks)} checks failed: {named}{more}"

    def to_json(self) -> str:
        return json.dumps({"passes": self.passes, **dataclasses.asdict(self)}, indent=2, default=str)

    @classmethod
    def from_json(cls, text: str) -> GateResult:
        raw = json.loads(text)
        checks = (CheckResult(**{**c, "severity": Severity(c["severity"])}) for c in raw["checks"])
        return cls(gate=raw["gate"], checks=tuple(checks))


class GateFailed(InputError):
    """A gate stopped the run: the data or the model is to mend, a retry finds the same."""

    def __init__(self, result: GateResult) -> None:
        super().__init__(result.summary())
        self.result = result
