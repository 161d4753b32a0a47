"""From figures to a verdict: thresholds, the champion, and the reasons in words."""

from __future__ import annotations

import dataclasses

import numpy as np

from components.evaluator.bootstrap import Interval, paired_interval
from components.evaluator.config import EvaluationConfig, Threshold
from components.evaluator.evaluation import Outcome
from components.evaluator.metrics import Values, loss_against
from components.evaluator.slices import SlicedSums
from components.gates import CheckResult, GateResult, Severity
from components.served_model import NUMERIC

GATE = "Evaluation"
# The difference of two equal sums may be 1e-17; that is no loss.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Challenger against champion, by one metric.

    Attributes:
        metric: its name.
        challenger: its value.
        champion: its value.
        interval: of challenger minus champion, 95%; None where it cannot be told.
        loss: how much worse the challenger is; negative when it is better.
        max_loss: how much worse it may be.
    """

    metric: str
    challenger: float
    champion: float
    interval: Interval | None
    loss: float
    max_loss: float

    @property
    def difference(self) -> float:
        return self.challenger - self.champion


def compare(outcome: Outcome, config: EvaluationConfig) -> Comparison | None:
    """Compares with the champion; None without one or where the metric is undefined for either."""
    if outcome.champion is None or outcome.champion.sums is None or outcome.challenger.sums is None:
        return None
    metric = config.champion_metric
    ours = outcome.metrics.value(metric, outcome.challenger.sums)
    theirs = outcome.metrics.value(metric, outcome.champion.sums)
    if ours is None or theirs is None:
        return None
    interval = None
    if outcome.pair is not None:
        interval = paired_interval(outcome.metrics, metric, outcome.pair, ours - theirs, config.resamples, config.seed)
    return Comparison(metric, ours, theirs, interval, loss_against(metric, ours, theirs), config.max_loss)


def judge(
    outcome: Outcome, config: EvaluationConfig, comparison: Comparison | None, champion_version: int
) -> GateResult:
    """Every check of the evaluation; the model is blessed if no critical one failed."""
    assert outcome.challenger.sums is not None
    overall = outcome.metrics.metrics(outcome.challenger.sums)
    checks = [_predictions_fit(outcome), *_single_class(outcome), *_queries(outcome, config)]
    for threshold in config.thresholds:
        if threshold.slice is None:
            checks.append(_overall(threshold, overall, outcome))
        else:
            checks.append(_each_slice(threshold, outcome.slices[threshold.slice], outcome, config.unjudged_severity))
    judged = {threshold.slice for threshold in config.thresholds}
    checks += [_too_many_values(one) for one in outcome.slices.values() if one.too_many and one.column not in judged]
    if champion_version:
        checks.append(_against_champion(outcome, config, comparison, champion_version))
    return GateResult(GATE, tuple(checks))


def _predictions_fit(outcome: Outcome) -> CheckResult:
    bad = outcome.challenger.invalid_rows
    allowed = "finite" if outcome.metrics.task in NUMERIC else "finite and a probability"
    if not bad:
        return CheckResult("predictions fit the task", True, message=f"{outcome.rows:,} predictions")
    message = (
        f"{bad:,} of {outcome.rows:,} predictions are not {allowed}; look for NaN in features or a diverged training"
    )
    return CheckResult("predictions fit the task", False, message=message)


def _single_class(outcome: Outcome) -> list[CheckResult]:
    if outcome.metrics.task != "binary":
        return []
    assert outcome.challenger.sums is not None
    rows, positives = (int(outcome.challenger.sums.terms[name][0]) for name in ("rows", "labels"))
    if not rows or 0 < positives < rows:
        return []
    only = outcome.classes[1 if positives else 0]
    message = f"all {rows:,} rows of the test split are of class {only!r}: auc is undefined; give more data or resplit"
    return [CheckResult("the test split has both classes", False, Severity.WARNING, message)]


def _queries(outcome: Outcome, config: EvaluationConfig) -> list[CheckResult]:
    """Whether there is something to rank: a column that is no query makes any model look perfect."""
    if outcome.metrics.task != "ranking":
        return []
    assert outcome.challenger.sums is not None
    queries, judged, single = (int(outcome.challenger.sums.terms[name][0]) for name in ("queries", "judged", "single"))
    shown = f"{queries:,} queries; {queries - judged:,} of them without a relevant row are left out"
    if not judged:
        message = f"none of {queries:,} queries has a row of relevance above 0: all metrics are undefined"
    elif single > queries / 2:
        message = f"{single:,} of {queries:,} queries have one row, which any model ranks right: is {config.query!r} the query?"
    else:
        return [CheckResult("queries have rows to rank", True, message=shown)]
    return [CheckResult("queries have rows to rank", False, Severity.WARNING, message)]


def _overall(threshold: Threshold, overall: Values, outcome: Outcome) -> CheckResult:
    value = overall[threshold.metric]
    passes = threshold.keeps(value)
    message = f"{threshold.metric} is {_figure(value)}" if passes else _breach(threshold, value)
    return CheckResult(str(threshold), passes, message=message, diagnostics={"value": value, "rows": outcome.rows})


def _each_slice(threshold: Threshold, sliced: SlicedSums, outcome: Outcome, unjudged: Severity) -> CheckResult:
    if sliced.too_many:
        return CheckResult.not_judged(str(threshold), _too_many_values(sliced).message, unjudged)
    assert sliced.sums is not None
    values = {
        name: (outcome.metrics.value(threshold.metric, sliced.sums, index), rows)
        for name, index, rows in sliced.by_rows()
        if rows >= threshold.min_rows
    }
    if not values:
        largest = max((rows for _, _, rows in sliced.by_rows()), default=0)
        why = (
            f"none of {len(sliced.by_rows()):,} slices of {sliced.column} has {threshold.min_rows:,} rows, the largest "
            f"{largest:,}; give more data, or lower min_rows or remove the bound in workload.yaml"
        )
        return CheckResult.not_judged(str(threshold), why, unjudged)
    failed = {name: found for name, found in values.items() if not threshold.keeps(found[0])}
    diagnostics = {"judged": len(values), "failed": {name: found[0] for name, found in failed.items()}}
    if not failed:
        message = f"kept in {len(values)} slices of {sliced.column} with {threshold.min_rows} rows or more"
        return CheckResult(str(threshold), True, message=message, diagnostics=diagnostics)
    shown = "; ".join(
        f"{name!r}: {_breach(threshold, v)} ({rows:,} rows)" for name, (v, rows) in list(failed.items())[:3]
    )
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    message = f"{len(failed)} of {len(values)} slices of {sliced.column} break a bound: {shown}{more}"
    return CheckResult(str(threshold), False, message=message, diagnostics=diagnostics)


def _too_many_values(sliced: SlicedSums) -> CheckResult:
    message = f"column {sliced.column!r} has more values than can be sliced by; slice by a column of fewer"
    return CheckResult.not_judged(f"slices of {sliced.column}", message, Severity.WARNING)


def _against_champion(
    outcome: Outcome, config: EvaluationConfig, comparison: Comparison | None, version: int
) -> CheckResult:
    name = f"{config.champion_metric} against champion version {version}"
    if outcome.champion is None:
        # The data or the contract changed under it: to refuse every challenger would leave a model that cannot
        # answer for today's data in service for good. The thresholds still judge.
        message = f"champion version {version} cannot be compared, thresholds alone decided: {outcome.not_comparable}"
        return CheckResult.not_judged(name, message, Severity.WARNING)
    if comparison is None:
        message = (
            f"{config.champion_metric} is undefined on this test split, so champion version {version} cannot be "
            "compared; give more data or compare by another metric"
        )
        return CheckResult.not_judged(name, message)
    passes = comparison.loss <= comparison.max_loss + _ROUNDING
    message = _in_words(comparison, version)
    diagnostics = {"loss": comparison.loss, "max_loss": comparison.max_loss}
    return CheckResult(name, passes, message=message, diagnostics=diagnostics)


def _in_words(found: Comparison, version: int) -> str:
    sense = "worse than" if found.loss > _ROUNDING else "better than" if found.loss < -_ROUNDING else "different from"
    interval = ""
    if found.interval is not None:
        interval = f", 95% interval of the difference {found.interval.low:+.4f} to {found.interval.high:+.4f}"
    return (
        f"{found.metric} {_figure(found.challenger)} is {_figure(abs(found.loss))} {sense} champion version {version} "
        f"({_figure(found.champion)}{interval}); at most {found.max_loss:g} worse is allowed"
    )


def _breach(threshold: Threshold, value: float | None) -> str:
    if value is None:
        return f"{threshold.metric} is undefined on these rows"
    if threshold.min is not None and value < threshold.min:
        return f"{threshold.metric} {_figure(value)} is below {threshold.min:g}"
    return f"{threshold.metric} {_figure(value)} is above {threshold.max:g}"


def _figure(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.4f}" if abs(value) < 100 or np.isinf(value) else f"{value:,.1f}"
