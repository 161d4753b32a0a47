"""The one result type of every gate: data quality, schema, evaluation, infrastructure, release."""

from components.gates._evidence import evidence_directory, insist_on_pass, keep_evidence
from components.gates._result import CheckResult, GateFailed, GateResult, Verdict
from spec.severity import Severity

__all__ = [
    "CheckResult",
    "GateFailed",
    "GateResult",
    "Severity",
    "Verdict",
    "evidence_directory",
    "insist_on_pass",
    "keep_evidence",
]
