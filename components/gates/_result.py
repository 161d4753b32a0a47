from __future__ import annotations

import dataclasses
import enum
import json
from typing import Any

from spec.errors import InputError
from spec.severity import Severity


class Verdict(enum.StrEnum):
    """What a check says."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"  # there was nothing to judge by: too few rows, no reference, no value


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """What one check found: it passed, it failed, or it was not judged.

    Attributes:
        name: the check, as its own field calls it, e.g. `expect_column_values_to_not_be_null(fare)`.
        severity: what it means that it does not pass.
        message: one sentence with figures: what was found, what was allowed, what to do; of one that was not judged, why.
        diagnostics: JSON-serialisable evidence, e.g. `{"unexpected_count": 3, "sample": [...]}`.
        judged: whether it could be judged at all. One that could not does not pass (`CheckResult.not_judged` makes it).
    """

    name: str
    passes: bool
    severity: Severity = Severity.CRITICAL
    message: str = ""
    diagnostics: dict[str, Any] = dataclasses.field(default_factory=dict)
    judged: bool = True

    def __post_init__(self) -> None:
        if self.passes and not self.judged:
            raise ValueError(f"{self.name}: a check that was not judged does not pass.")

    @classmethod
    def not_judged(
        cls, name: str, why: str, severity: Severity = Severity.CRITICAL, diagnostics: dict[str, Any] | None = None
    ) -> CheckResult:
        """A check that nothing can be said about, and why."""
        return cls(name, False, severity, why, diagnostics or {}, judged=False)

    @property
    def verdict(self) -> Verdict:
        return Verdict.NOT_JUDGED if not self.judged else Verdict.PASSED if self.passes else Verdict.FAILED

    @property
    def words(self) -> str:
        """What was found, for a reader who has not seen the check's name."""
        return f"{self.name} was not judged: {self.message}" if not self.judged else self.message or self.name


@dataclasses.dataclass(frozen=True)
class GateResult:
    """All that a gate checked. It passes if every critical check does: one that was not judged is no pass."""

    gate: str
    checks: tuple[CheckResult, ...]

    @property
    def passes(self) -> bool:
        return not self.objections(Severity.CRITICAL)

    def failures(self, severity: Severity | None = None) -> tuple[CheckResult, ...]:
        """The failed checks, of one severity or of all."""
        return self._of(Verdict.FAILED, severity)

    def unjudged(self, severity: Severity | None = None) -> tuple[CheckResult, ...]:
        """The checks that were not judged, of one severity or of all."""
        return self._of(Verdict.NOT_JUDGED, severity)

    def objections(self, severity: Severity | None = None) -> tuple[CheckResult, ...]:
        """All that does not pass: failed checks, then those that were not judged."""
        return (*self.failures(severity), *self.unjudged(severity))

    def counts(self) -> dict[str, int]:
        """How many checks there are, and how many of them passed, failed, warned and were not judged.

        `failed` are critical; a failure that only marks the run is among `warnings`.
        """
        return {
            "checks": len(self.checks),
            "passed": len(self._of(Verdict.PASSED, None)),
            "failed": len(self.failures(Severity.CRITICAL)),
            "warnings": len(self.failures(Severity.WARNING)),
            "not_judged": len(self.unjudged()),
        }

    def summary(self) -> str:
        """One line: the verdict, then up to three checks of each kind that do not pass."""
        failed, unjudged, many = self.failures(Severity.CRITICAL), self.unjudged(), self.counts()
        words = f"{len(failed)} of {len(self.checks)} checks failed" if failed else f"{many['passed']} checks passed"
        parts = [words + (f": {_named(failed)}" if failed else "")]
        parts += [f"{many['warnings']} warnings"] if many["warnings"] and self.passes else []
        parts += [f"{len(unjudged)} not judged: {_named(unjudged)}"] if unjudged else []
        return f"{self.gate}: {('; ' if failed else ', ').join(parts)}"

    def to_json(self) -> str:
        return json.dumps({"passes": self.passes, **dataclasses.asdict(self)}, indent=2, default=str)

    @classmethod
    def from_json(cls, text: str) -> GateResult:
        """Reads what `to_json` wrote, now or before there were checks that are not judged."""
        raw = json.loads(text)
        checks = (CheckResult(**{**c, "severity": Severity(c["severity"])}) for c in raw["checks"])
        return cls(gate=raw["gate"], checks=tuple(checks))

    def _of(self, verdict: Verdict, severity: Severity | None) -> tuple[CheckResult, ...]:
        return tuple(c for c in self.checks if c.verdict is verdict and severity in (None, c.severity))


def _named(checks: tuple[CheckResult, ...]) -> str:
    told = [c.message or c.name if c.judged else f"{c.name}: {c.message}" for c in checks[:3]]
    more = f"; and {len(checks) - 3} more" if len(checks) > 3 else ""
    return "; ".join(one.rstrip(".") for one in told) + more


class GateFailed(InputError):
    """A gate stopped the run: the data or the model is to mend, a retry finds the same."""

    def __init__(self, result: GateResult) -> None:
        super().__init__(result.summary())
        self.result = result
