"""The one result type of every gate: data quality, schema, evaluation, infrastructure, release."""

from components.gates._evidence import evidence_directory, insist_on_pass, keep_evidence
from components.gates._result import CheckResult, GateFailed, GateResult, Verdict
from spec.severity import Severity

DATA_GATES = ("ExampleValidator", "DataQuality", "DriftDetector")
"""The gates that judge a span, by their nodes: what none of them refuses is accepted."""

__all__ = [
    "DATA_GATES",
    "CheckResult",
    "GateFailed",
    "GateResult",
    "Severity",
    "Verdict",
    "evidence_directory",
    "insist_on_pass",
    "keep_evidence",
]
