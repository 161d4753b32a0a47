"""The one result type of every gate: data quality, schema, evaluation, infrastructure, release."""

from components.gates._evidence import evidence_directory, keep_evidence
from components.gates._result import CheckResult, GateFailed, GateResult, Severity, Verdict

__all__ = [
    "CheckResult",
    "GateFailed",
    "GateResult",
    "Severity",
    "Verdict",
    "evidence_directory",
    "keep_evidence",
]
