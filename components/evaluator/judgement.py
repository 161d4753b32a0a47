"""From figures to a verdict: thresholds, the champion, and the reasons in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from components.confidence import Bounds
from components.evaluator.bars import bars, figure, overall_check, slices_check
from components.evaluator.beside import checks_against
from components.evaluator.bootstrap import paired_interval
from components.evaluator.config import EvaluationConfig
from components.evaluator.fairness import fairness_checks
from components.evaluator.findings import Findings
from components.evaluator.record import RECORD
from components.evaluator.slices import SlicedSums
from components.gates import CheckResult, GateResult, Severity

# The difference of two equal sums may be 1e-17; that is no loss.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Challenger against champion, by one metric.

    Attributes:
        interval: of challenger minus champion, 95%; None where it cannot be told.
        loss: how much worse the challenger is; negative when it is better.
        max_loss: how much worse it may be.
    """

    metric: str
    challenger: float
    champion: float
    interval: Bounds | None
    loss: float
    max_loss: float

    @property
    def difference(self) -> float:
        return self.challenger - self.champion


def compare(outcome: Findings, config: EvaluationConfig) -> Comparison | None:
    """Compares with the champion; None without one or where the metric is undefined for either."""
    if outcome.champion is None or outcome.champion.sums is None or outcome.challenger.sums is None:
        return None
    metric = config.champion_metric.name
    ours = outcome.task.value(metric, outcome.challenger.sums)
    theirs = outcome.task.value(metric, outcome.champion.sums)
    if ours is None or theirs is None:
        return None
    interval = None
    if outcome.pair is not None:
        interval = paired_interval(outcome.task, metric, outcome.pair, ours - theirs, config.resamples, config.seed)
    loss = config.champion_metric.loss(ours, theirs)
    return Comparison(metric, ours, theirs, interval, loss, config.champion.max_loss)


def judge(
    outcome: Findings,
    config: EvaluationConfig,
    comparison: Comparison | None,
    champion_version: int,
    simple: dict[str, Any] | None = None,
    variants: Sequence[CheckResult] = (),
) -> GateResult:
    """Every check of the evaluation; the model is blessed if all critical ones pass.

    Args:
        variants: the checks of its compressed variants.
    """
    assert outcome.challenger.sums is not None
    checks = [predictions_fit(outcome), *outcome.task.data_checks(outcome.challenger.sums, config.query or "")]
    checks += [*outcome.model_checks, *bar_checks(outcome, config)]
    if not config.thresholds:
        why = "no bound is named under evaluation.thresholds in workload.yaml, so nothing was asked of its figures"
        checks.append(CheckResult.not_judged("thresholds", why, Severity.INFO))
    judged = {one.slice for one in config.thresholds} | {one.column for one in config.fairness.thresholds}
    checks += [_too_many_values(one) for one in outcome.slices.values() if one.too_many and one.column not in judged]
    if champion_version:
        checks.append(_against_champion(outcome, config, comparison, champion_version))
    checks += [*checks_against(simple), *variants]
    return GateResult(RECORD.id, tuple(checks))


def bar_checks(outcome: Findings, config: EvaluationConfig) -> list[CheckResult]:
    """The bounds that the workload names, one check each."""
    checks = []
    for threshold, found in zip(config.thresholds, bars(outcome, config), strict=True):
        if threshold.slice is None:
            checks.append(overall_check(found[0], config))
        elif (sliced := outcome.slices[threshold.slice]).too_many:
            why = _too_many_values(sliced).message
            checks.append(CheckResult.not_judged(str(threshold), why, config.unjudged_severity))
        else:
            checks.append(slices_check(threshold, found, outcome, config))
    return checks + fairness_checks(outcome, config)


def predictions_fit(outcome: Findings) -> CheckResult:
    """Whether every prediction is one that the task can be judged by."""
    bad = outcome.challenger.invalid_rows
    if not bad:
        return CheckResult("predictions fit the task", True, message=f"{outcome.rows:,} predictions")
    message = (
        f"{bad:,} of {outcome.rows:,} predictions are not {outcome.task.valid_words}; look for NaN in features or a "
        "diverged training"
    )
    return CheckResult("predictions fit the task", False, message=message)


def _too_many_values(sliced: SlicedSums) -> CheckResult:
    message = f"column {sliced.column!r} has more values than can be sliced by; slice by a column of fewer"
    return CheckResult.not_judged(f"slices of {sliced.column}", message, Severity.WARNING)


def _against_champion(
    outcome: Findings, config: EvaluationConfig, comparison: Comparison | None, version: int
) -> CheckResult:
    name = f"{config.champion_metric.name} against champion version {version}"
    if outcome.champion is None:
        # The data or the contract changed under it: to refuse every challenger would leave a model that cannot
        # answer for today's data in service for good. The thresholds still judge.
        assert outcome.not_comparable is not None
        why = outcome.not_comparable[1]
        message = f"champion version {version} cannot be compared, thresholds alone decided: {why}"
        return CheckResult.not_judged(name, message, Severity.WARNING)
    if comparison is None:
        message = (
            f"{config.champion_metric.name} is undefined on this test split, so champion version {version} cannot be "
            "compared; give more data or compare by another metric"
        )
        return CheckResult.not_judged(name, message, config.unjudged_severity)
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
        f"{found.metric} {figure(found.challenger)} is {figure(abs(found.loss))} {sense} champion version {version} "
        f"({figure(found.champion)}{interval}); at most {found.max_loss:g} worse is allowed"
    )
