"""What a gate says of its checks: passed, failed, or not judged."""

from __future__ import annotations

import json

import pytest

from components.gates import CheckResult, GateResult, Severity, Verdict

FEW = CheckResult.not_judged("auc >= 0.9 in every slice of city", "no slice has 100 rows")
HELD = CheckResult("fare", True)


def test_what_was_not_judged_is_no_pass() -> None:
    gate = GateResult("Evaluation", (HELD, FEW))
    assert FEW.verdict is Verdict.NOT_JUDGED and not gate.passes
    assert gate.failures() == () and gate.unjudged() == gate.objections(Severity.CRITICAL) == (FEW,)
    assert gate.summary() == (
        "Evaluation: 1 checks passed, 1 not judged: auc >= 0.9 in every slice of city: no slice has 100 rows"
    )
    with pytest.raises(ValueError, match="does not pass"):
        CheckResult("fare", True, judged=False)


def test_what_need_not_be_judged_is_counted_all_the_same() -> None:
    first = CheckResult.not_judged("drift", "span 1 is the first", Severity.INFO)
    late = CheckResult("tip", False, Severity.WARNING, "tips are late")
    gate = GateResult("Drift", (HELD, first, late))
    assert (
        gate.passes and gate.summary() == "Drift: 1 checks passed, 1 warnings, 1 not judged: drift: span 1 is the first"
    )
    assert gate.counts() == {"checks": 3, "passed": 1, "failed": 0, "warnings": 1, "not_judged": 1}


def test_a_failure_comes_first() -> None:
    gate = GateResult("Quality", (FEW, CheckResult("fare", False, message="fare is null in 3 rows."), HELD))
    assert gate.summary().startswith("Quality: 1 of 3 checks failed: fare is null in 3 rows; 1 not judged: auc")


def test_a_file_keeps_the_verdict_and_an_older_one_is_read() -> None:
    gate = GateResult("Evaluation", (HELD, FEW))
    assert GateResult.from_json(gate.to_json()) == gate
    older = json.loads(GateResult("Evaluation", (HELD,)).to_json())
    del older["checks"][0]["judged"]
    assert GateResult.from_json(json.dumps(older)).checks == (HELD,)
