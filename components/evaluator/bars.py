"""The workload's bounds, each on the rows that it is about: kept for sure, broken, or not to be judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from components.confidence import Bounds
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.gates import CheckResult, Verdict
from components.tasks import MergeableSums, Task
from spec.metrics import Metric
from spec.workload import Bound, Threshold


@dataclasses.dataclass(frozen=True)
class Bar:
    """What the figures say of one bound on some rows.

    Attributes:
        slice: the value of `threshold.slice`; None: all rows.
        rows: that it was measured on; over all rows, units of the task.
        found: the metric there; None where it is undefined.
        bounds: how sure that is; None where nothing can be said of it.
        verdict: passed only if the bound holds with the confidence that is asked for.
    """

    threshold: Threshold
    slice: str | None
    rows: int
    found: float | None
    bounds: Bounds | None
    verdict: Verdict
    message: str


def bars(outcome: Findings, config: EvaluationConfig) -> list[list[Bar]]:
    """For each threshold, its bars: one over all rows, or one for each slice that is large enough, the largest first."""
    return [list(_of_threshold(one, outcome, config.confidence)) for one in config.thresholds]


def _of_threshold(threshold: Threshold, outcome: Findings, level: float) -> Iterator[Bar]:
    sums = outcome.challenger.sums
    assert sums is not None
    if threshold.slice is None:
        units = int(sums.terms[outcome.task.unit_term][0])
        yield _bar(threshold, None, units, outcome.task, sums, 0, level)
        return
    sliced = outcome.slices[threshold.slice]
    for value, index, rows in sliced.by_rows():
        if rows >= threshold.least and sliced.sums is not None:
            yield _bar(threshold, value, rows, outcome.task, sliced.sums, index, level)


def _bar(
    threshold: Threshold, value: str | None, rows: int, task: Task, sums: MergeableSums, index: int, level: float
) -> Bar:
    metric = threshold.metric
    found = task.value(metric, sums, index)
    sure = task.bounds(metric, sums, level, index)
    unit = task.unit if value is None else "rows"
    verdict = Verdict.NOT_JUDGED
    if rows < threshold.least:
        said = f"{rows:,} {unit} are too few (min_rows {threshold.least:,}); give more data"
    elif found is None:
        said = f"{metric} is undefined on these {rows:,} {unit}"
    elif not threshold.keeps(found):
        verdict, said = Verdict.FAILED, breach(threshold, found)
    elif sure is None:
        said = f"{metric} {figure(found)} is the same on each of {rows:,} {unit}: no telling of others"
    elif not threshold.keeps_surely(sure.low, sure.high):
        verdict, said = Verdict.FAILED, unsure(task.metric(metric), threshold, found, sure, level, f"{rows:,} {unit}")
    else:
        verdict = Verdict.PASSED
        said = f"{metric} {figure(found)} ({words(task.metric(metric), sure, level, threshold)})"
    return Bar(threshold, value, rows, found, sure, verdict, said)


def words(metric: Metric, sure: Bounds, level: float, threshold: Bound | None = None) -> str:
    """How sure a metric is, e.g. `95 % at least 0.9310`: on the side that a threshold bounds, or else that matters."""
    asked = (threshold.min, threshold.max) if threshold else (None, None)
    is_low = asked[0] is not None or (asked[1] is None and not metric.lower_is_better)
    is_high = asked[1] is not None or (asked[0] is None and (metric.lower_is_better or metric.ideal is not None))
    sides = [f"at least {figure(sure.low)}"] * is_low + [f"at most {figure(sure.high)}"] * is_high
    return f"{100 * level:g} % {' and '.join(sides)}"


def overall_check(bar: Bar, config: EvaluationConfig) -> CheckResult:
    """The check of a bound over all rows."""
    found = {"value": bar.found, "rows": bar.rows, **_plain(bar.bounds)}
    if bar.verdict is Verdict.NOT_JUDGED:
        return CheckResult.not_judged(str(bar.threshold), bar.message, config.unjudged_severity, found)
    return CheckResult(str(bar.threshold), bar.verdict is Verdict.PASSED, message=bar.message, diagnostics=found)


def slices_check(threshold: Threshold, found: list[Bar], outcome: Findings, config: EvaluationConfig) -> CheckResult:
    """The check of a bound in every slice of a column; not judged where a slice that is large enough cannot be."""
    column, slices = threshold.slice, outcome.slices[str(threshold.slice)].by_rows()
    failed = [one for one in found if one.verdict is Verdict.FAILED]
    unjudged = [one for one in found if one.verdict is Verdict.NOT_JUDGED]
    evidence = {"judged": len(found), "smaller": len(slices) - len(found), "failed": {b.slice: b.found for b in failed}}
    if failed:
        message = f"{len(failed)} of {len(found)} slices of {column} break a bound: {_listed(failed)}"
        return CheckResult(str(threshold), False, message=message, diagnostics=evidence)
    if unjudged or not found:
        why = f"{len(unjudged)} of {len(found)} slices of {column}: {_listed(unjudged)}"
        if not found:
            largest = max((rows for _, _, rows in slices), default=0)
            why = (
                f"none of {len(slices):,} slices of {column} has {threshold.least:,} rows, the largest {largest:,}; give more "
                "data, or lower min_rows or remove the bound in workload.yaml"
            )
        return CheckResult.not_judged(str(threshold), why, config.unjudged_severity, evidence)
    weakest = min(found, key=_margin)
    message = (
        f"kept in {len(found)} slices of {column} with {threshold.least} rows or more, the weakest: {weakest.slice!r} with "
        f"{weakest.message}"
    )
    smaller = len(slices) - len(found)
    message += f"; {smaller} smaller ones are not judged" if smaller else ""
    return CheckResult(str(threshold), True, message=message, diagnostics=evidence)


def plain(bar: Bar) -> dict[str, object]:
    """As metrics.json has it."""
    one = bar.threshold
    return {
        **{"metric": one.metric, "min": one.min, "max": one.max, "slice": one.slice, "value": bar.slice},
        **{"rows": bar.rows, "found": bar.found, **_plain(bar.bounds)},
        **{"verdict": str(bar.verdict), "message": bar.message},
    }


def figure(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.4f}" if abs(value) < 100 or np.isinf(value) else f"{value:,.1f}"


def _plain(sure: Bounds | None) -> dict[str, float | None]:
    return {"low": sure.low if sure else None, "high": sure.high if sure else None}


def _listed(found: list[Bar]) -> str:
    shown = "; ".join(f"{one.slice!r}: {one.message} ({one.rows:,} rows)" for one in found[:3])
    return shown + (f"; and {len(found) - 3} more" if len(found) > 3 else "")


def _margin(bar: Bar) -> float:
    """How far inside its bounds a bar surely is."""
    assert bar.bounds is not None
    low, high = bar.threshold.min, bar.threshold.max
    return min(
        bar.bounds.low - low if low is not None else np.inf, high - bar.bounds.high if high is not None else np.inf
    )


def breach(threshold: Bound, value: float) -> str:
    """How a value breaks a bound."""
    if threshold.min is not None and value < threshold.min:
        return f"{threshold.metric} {figure(value)} is below {threshold.min:g}"
    return f"{threshold.metric} {figure(value)} is above {threshold.max:g}"


def unsure(metric: Metric, threshold: Bound, value: float, sure: Bounds, level: float, rows: str) -> str:
    """That a value keeps a bound, and may do so by chance."""
    bound = threshold.min if threshold.min is not None and sure.low < threshold.min else threshold.max
    side = "above" if bound == threshold.min else "below"
    return (
        f"{threshold.metric} {figure(value)} is {side} {bound:g}, but not surely: {words(metric, sure, level, threshold)} "
        f"on {rows}; give more data, or lower the bar"
    )
