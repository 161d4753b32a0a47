"""`trainyard skew`: recorded requests against what the model was trained on; the result goes into the history."""

from __future__ import annotations

import dataclasses
import datetime
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from components.drift.distributions import Distribution
from components.drift.judge import PREDICTION_DRIFT, SKEW, check, comparisons
from components.gates import CheckResult, GateResult, Severity
from model_store import ModelStore
from quality.history import SERVING, Outcome, Validation
from quality.history.runs import changes, check_record, outcome_of, profiled
from quality.monitoring._answers import spread
from quality.monitoring._requests import Requests, read_requests, requests_profile
from quality.monitoring._training import ExamplesOf, Training, training_of
from spec import home
from spec.run_ids import new_run_id
from spec.words import some_of
from spec.workload import ColumnLimits, Workload, find_workload

GATE = "SkewDetector"


@dataclasses.dataclass(frozen=True)
class SkewRequest:
    """What to compare.

    Attributes:
        release: a label (stable, canary) or a version: which release's answers to compare.
        since: older requests are skipped.
    """

    workload: str
    record: pathlib.Path
    release: str = "stable"
    since: datetime.datetime | None = None


def check_skew(request: SkewRequest, examples_of: ExamplesOf) -> Validation:
    """Compares recorded requests with the training data of the release that answered them, and its answers with its predictions then.

    Raises:
        InputError, StoreError: there is no record, no such release, or its training data are out of reach.
    """
    workload, _ = find_workload(request.workload)
    release = ModelStore(home.store_uri()).resolve(workload.name, request.release)
    asked = read_requests(request.record, workload.name, release.version, request.since)
    checks: list[CheckResult]
    columns: dict[str, Distribution]
    if asked.rows < workload.quality.skew.min_rows:
        checks, columns = [_too_few(asked, release.version, workload)], {}
    else:
        training = training_of(workload.name, release, examples_of)
        checks, columns = _compare(workload, asked, training)
    gate = GateResult(GATE, tuple(checks))
    outcome = outcome_of([gate])
    return Validation(
        id=new_run_id(),
        workload=workload.name,
        span=None,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        outcome=outcome,
        headline=_headline(outcome, gate, release.version, asked),
        source=SERVING,
        rows=asked.rows,
        owner=workload.owner,
        data=str(request.record / workload.name),
        reference=release.run_id,
        checks=tuple(check_record(GATE, one) for one in gate.checks),
        columns=tuple(profiled(name, one) for name, one in columns.items()),
        changes=tuple(changes(gate)),
    )


def drift_series(validation: Validation, version: int) -> dict[str, Any]:
    """What the model server shows Prometheus of a comparison.

    Args:
        version: whose requests were compared.
    """
    at = datetime.datetime.fromisoformat(validation.created_at).timestamp()
    found = [
        {"kind": one.kind, "column": one.column, "measure": one.measure, "value": one.value, "limit": one.limit}
        for one in validation.changes
        if not one.slice and math.isfinite(one.value)
    ]
    return {"at": at, "version": version, "rows": validation.rows, "drift": found}


def _compare(
    workload: Workload, asked: Requests, training: Training
) -> tuple[list[CheckResult], dict[str, Distribution]]:
    skew = workload.quality.skew
    answers = ColumnLimits(limits=skew.predictions, min_rows=skew.min_rows)
    name = f"requests until {asked.last[:16].replace('T', ' ')}"
    columns = requests_profile(name, asked.columns, asked.rows, training.columns)
    predicted = requests_profile(name, spread(asked.predictions, training.parts), asked.rows, training.predictions)
    found = [*comparisons(columns, training.columns, skew, SKEW)]
    found += comparisons(predicted, training.predictions, answers, PREDICTION_DRIFT)
    described = {**columns.distributions[""], **{f"prediction: {k}": v for k, v in predicted.distributions[""].items()}}
    left = [
        CheckResult.not_judged(f"{PREDICTION_DRIFT}({output})", f"{output}: {why}", Severity.INFO)
        for output, why in training.not_compared.items()
    ]
    return [*map(check, found), *left], described


def _too_few(asked: Requests, version: int, workload: Workload) -> CheckResult:
    others = ", ".join(f"{rows:,} of version {v}" for v, rows in sorted(asked.versions.items()) if v != version)
    reason = (
        f"{asked.rows:,} recorded rows of version {version} are too few to compare (min_rows "
        f"{workload.quality.skew.min_rows:,}){f'; there are {others}' if others else ''}"
    )
    return CheckResult.not_judged("skew", reason, Severity.INFO)


def _headline(outcome: Outcome, gate: GateResult, version: int, asked: Requests) -> str:
    """The verdict in one sentence, with the columns that differ."""
    compared = [one for one in gate.checks if one.diagnostics.get("measures")]
    if not compared:
        return f"Not compared: {gate.checks[0].message}." if gate.checks else "Not compared: nothing was recorded."
    rows = f"{asked.rows:,} requests" if asked.rows != 1 else "one request"
    if outcome is Outcome.PASSED:
        return (
            f"What version {version} is asked looks like what it was trained on ({rows}, {len(compared)} comparisons)."
        )
    failed = [*gate.failures(Severity.CRITICAL), *gate.failures(Severity.WARNING)]
    skewed = _names([one for one in failed if one.diagnostics["kind"] == SKEW])
    drifted = _names([one for one in failed if one.diagnostics["kind"] == PREDICTION_DRIFT])
    parts = [f"is asked is not what it was trained on, in {skewed}"] if skewed else []
    parts += [f"answers has drifted, in {drifted}"] if drifted else []
    return f"What version {version} {'; what it '.join(parts)} ({rows})."


def _names(checks: Sequence[CheckResult]) -> str:
    return some_of(list(dict.fromkeys(str(one.diagnostics["column"]) for one in checks)))
