"""`trainyard live`: the live metrics of every version in use, judged, and what is to be done about a broken bound."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.formats import percent
from components.gates import CheckResult, GateResult, Severity, Verdict
from model_store import STABLE
from quality.history import LIVE, LIVE_GATE, Validation
from quality.history.runs import check_record, outcome_of
from quality.monitoring._feedback import kept_labels
from quality.monitoring._live import LiveMetric, LiveVersion, live_versions
from spec.run_ids import new_run_id
from spec.workload import Workload


@dataclasses.dataclass(frozen=True)
class Look:
    """One look at how a model does.

    Attributes:
        versions: that answered within the window, the newest first.
        validation: the same for the history and its pages.
    """

    versions: Sequence[LiveVersion]
    validation: Validation

    @property
    def stable(self) -> LiveVersion | None:
        return next((one for one in self.versions if one.label == STABLE), None)


def look(workload: Workload, record: pathlib.Path) -> Look:
    """Judges every version that answered within `monitoring.live.window_hours`.

    Args:
        record: the model server's `--record`.

    Raises:
        InputError, StoreError: the task cannot be judged by labels, or there is no record of the model.
    """
    now = datetime.datetime.now(datetime.UTC)
    versions = live_versions(workload, record, now)
    gate = GateResult(LIVE_GATE, tuple(check for one in versions for check in _checks(one, workload)))
    outcome = outcome_of([gate])
    return Look(
        versions,
        Validation(
            id=new_run_id(),
            workload=workload.name,
            span=None,
            created_at=now.isoformat(timespec="seconds"),
            outcome=outcome,
            headline=_headline(versions),
            source=LIVE,
            rows=sum(one.labelled for one in versions),
            owner=workload.owner,
            data=str(record / workload.name),
            checks=tuple(check_record(LIVE_GATE, one) for one in gate.checks),
        ),
    )


def series(found: Look, record: pathlib.Path) -> dict[str, Any]:
    """What the model server shows Prometheus of a look."""
    at = datetime.datetime.fromisoformat(found.validation.created_at).timestamp()
    labels = kept_labels(record, found.validation.workload)
    return {"at": at, "feedback_rows": labels, "versions": [facts(one) for one in found.versions]}


def facts(one: LiveVersion) -> dict[str, Any]:
    """A version's figures as JSON."""
    metrics = {
        metric.metric: {
            **{"value": metric.value, "low": metric.low, "high": metric.high},
            **{"min": metric.limit and metric.limit.min, "max": metric.limit and metric.limit.max},
        }
        for metric in one.metrics
    }
    counts = {"answered": one.answered, "labelled": one.labelled}
    return {"version": one.version, "label": one.label, **counts, "metrics": metrics}


def labels_check(version: int) -> str:
    """The name of the check whose evidence is a version's figures (`facts`)."""
    return f"labels(version {version})"


def _checks(one: LiveVersion, workload: Workload) -> Iterator[CheckResult]:
    live = workload.monitoring.live
    name, said = labels_check(one.version), _labels(one)
    if one.labelled < live.min_rows:
        why = f"{said}: too few to tell how it does (monitoring.live.min_rows {live.min_rows:,})"
        yield CheckResult.not_judged(name, why, Severity.INFO, facts(one))
    else:
        yield CheckResult(name, True, Severity.INFO, said, facts(one))
    for metric in one.metrics:
        if metric.limit is not None and one.labelled >= live.min_rows:
            yield _check(one, metric)


def _check(one: LiveVersion, metric: LiveMetric) -> CheckResult:
    name = f"{metric.limit} (version {one.version})"
    found = {"version": one.version, "metric": metric.metric, "value": metric.value}
    found |= {"low": metric.low, "high": metric.high}
    message = f"version {one.version}: {metric.message}"
    if metric.verdict is Verdict.NOT_JUDGED:
        return CheckResult.not_judged(name, message, Severity.INFO, found)
    severity = Severity.CRITICAL if one.label == STABLE else Severity.WARNING
    return CheckResult(name, metric.verdict is Verdict.PASSED, severity, message, found)


def _labels(one: LiveVersion) -> str:
    return f"{one.labelled:,} of {one.answered:,} answers of version {one.version} have a label ({percent(one.share)})"


def _headline(versions: Sequence[LiveVersion]) -> str:
    """The verdict in one sentence: of the stable release, else of the newest version that answered."""
    one = next((one for one in versions if one.label == STABLE), next(iter(versions), None))
    if one is None:
        return "Not judged: no requests with an id were recorded within the window."
    limited = [metric for metric in one.metrics if metric.limit]
    if one.broken:
        said = "; ".join(metric.message for metric in one.broken)
        return f"Version {one.version} no longer does what it has to: {said}."
    if not limited:
        return f"{_labels(one)}; " + (
            "nothing is judged: monitoring.live.metrics has no bound." if one.metrics else "none is judged."
        )
    passed = [metric for metric in limited if metric.verdict is Verdict.PASSED]
    if len(passed) < len(limited):
        said = next(metric.message for metric in limited if metric.verdict is Verdict.NOT_JUDGED)
        return f"Version {one.version} is not judged: {said}."
    return (
        f"Version {one.version} does what it has to: {'; '.join(metric.message for metric in passed)}. {_labels(one)}."
    )


def plain_versions(versions: Sequence[LiveVersion]) -> list[Mapping[str, Any]]:
    """The versions with verdicts, as JSON for scripts."""
    return [
        facts(one) | {"verdicts": {m.metric: [str(m.verdict), m.message] for m in one.metrics if m.limit is not None}}
        for one in versions
    ]
