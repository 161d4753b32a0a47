"""The one result type of every gate: data quality, schema, evaluation, infrastructure, release."""

from components.gates._evidence import evidence_directory, keep_evidence
from components.gates._result import CheckResult, GateFailed, GateResult, Severity

__all__ = ["CheckResult", "GateFailed", "GateResult", "Severity", "evidence_directory", "keep_evidence"]
