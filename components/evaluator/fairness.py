"""Whether a model treats the groups of a column alike: the rates of each group, the gaps among them, and how sure these are.

Demographic parity asks for one share of rows that are called the class (Dwork et al., 2012), equal opportunity for one share of those
that are it, equalized odds for one share of those that are not it, too (Hardt, Price and Srebro, 2016). All of it is made of the sums
that slices keep; on rates that are defined the values are fairlearn's.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from components.confidence import Bounds
from components.evaluator.bars import breach, figure, unsure, words
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.gates import CheckResult, Severity, Verdict
from spec import metrics
from spec.words import some_of
from spec.workload import FairnessThreshold

Floats = npt.NDArray[np.float64]

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")
_SELECTED, _TRUE, _FALSE = range(3)


@dataclasses.dataclass(frozen=True)
class Gap:
    """One measure of how differently the groups of a column are treated.

    Attributes:
        of_class: for which it is worst.
        value: None where fewer than two groups have the rates that it is made of.
        bounds: how sure it is; None with the value.
    """

    metric: metrics.Metric
    of_class: str
    value: float | None
    bounds: Bounds | None


@dataclasses.dataclass(frozen=True)
class Groups:
    """The groups of a column, the largest first.

    Attributes:
        values: G of them.
        rows: of each, [G].
        compared: which have rows enough, [G] of bool.
        classes: C of them; of two the positive one alone.
        rates: of RATES, [C, G, 3]; NaN where a group has no row that it is a share of.
        gaps: by metric, over the groups that are compared.
    """

    column: str
    values: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    compared: npt.NDArray[np.bool_]
    classes: tuple[str, ...]
    rates: Floats
    gaps: dict[str, Gap]


def compare_groups(outcome: Findings, config: EvaluationConfig) -> Iterator[Groups]:
    """The groups of each column of `evaluation.fairness` that has few enough values."""
    for column in config.fairness.all_columns:
        if outcome.slices[column].sums is not None:
            yield _groups(column, outcome, config)


def _groups(column: str, outcome: Findings, config: EvaluationConfig) -> Groups:
    sliced, task = outcome.slices[column], outcome.task
    assert sliced.sums is not None
    found = sliced.by_rows()
    chosen = np.arange(len(task.classes))[1 if len(task.classes) == 2 else 0 :]
    hits, of = np.zeros((2, len(chosen), len(found), len(RATES)))
    for place, (_, index, count) in enumerate(found):
        confusion = task.confusion(sliced.sums, index)
        assert confusion is not None
        true = np.diag(confusion)[chosen]
        called, are = confusion.sum(axis=0)[chosen], confusion.sum(axis=1)[chosen]
        hits[:, place] = np.stack([called, true, called - true], axis=1)
        of[:, place] = np.stack([np.full(len(chosen), count), are, count - are], axis=1)
    rows = np.array([one[2] for one in found])
    compared = rows >= config.fairness.min_rows
    names = tuple(task.classes[one] for one in chosen)
    return Groups(
        column,
        tuple(one[0] for one in found),
        rows,
        compared,
        names,
        _rates(hits, of),
        _gaps(hits[:, compared], of[:, compared], names, config),
    )


def _rates(hits: Floats, of: Floats) -> Floats:
    return np.divide(hits, of, out=np.full(hits.shape, np.nan), where=of > 0)


def _gaps(hits: Floats, of: Floats, classes: Sequence[str], config: EvaluationConfig) -> dict[str, Gap]:
    """Of C classes, G groups and their rates, [C, G, 3] each."""
    rates = _rates(hits, of)
    random = np.random.default_rng(config.seed)
    # The bootstrap of the rows is that of the counts that they come to. Each rate is drawn with half a row more on either side
    # (Jeffreys): where a small group happens to have no error, a plain draw has none either, as if that were sure.
    shape = (config.resamples, *hits.shape[1:])
    drawn = [
        np.where(of[one] > 0, random.beta(hits[one] + 0.5, of[one] - hits[one] + 0.5, shape), np.nan)
        for one in range(len(classes))
    ]
    return {
        metric.name: _gap(metric, _MEASURES[metric.name], rates, drawn, classes, config.confidence)
        for metric in metrics.FAIRNESS.values()
    }


def _gap(
    metric: metrics.Metric,
    measure: Callable[[Floats], Floats],
    rates: Floats,
    drawn: Sequence[Floats],
    classes: Sequence[str],
    level: float,
) -> Gap:
    """Of the class for which it is worst, in the sample and in each draw."""
    sign = 1 if metric.lower_is_better else -1
    values = sign * measure(rates)
    if np.isnan(values).all():
        return Gap(metric, "", None, None)
    worst = int(np.nanargmax(values))
    draws = np.fmax.reduce([sign * measure(one) for one in drawn]) * sign
    value = float(sign * values[worst])
    low, high = np.nanquantile(draws, [1 - level, level])
    # The greatest gap of a draw tends to be greater than that of the sample, the more so the more groups there are.
    return Gap(metric, classes[worst], value, Bounds(min(float(low), value), max(float(high), value)))


def _ends(rates: Floats, which: int) -> tuple[Floats, Floats]:
    """The least and the greatest rate among groups, [..., G, 3] -> [...]; NaN where fewer than two have one."""
    one = rates[..., which]
    enough = (~np.isnan(one)).sum(axis=-1) > 1
    low, high = np.fmin.reduce(one, axis=-1, initial=np.inf), np.fmax.reduce(one, axis=-1, initial=-np.inf)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _difference(rates: Floats, which: Sequence[int]) -> Floats:
    differences = [high - low for low, high in (_ends(rates, one) for one in which)]
    return functools.reduce(np.maximum, differences)  # NaN where one of them is


def _ratio(rates: Floats) -> Floats:
    low, high = _ends(rates, _SELECTED)
    return np.divide(low, high, out=np.full(low.shape, np.nan), where=high > 0)


_MEASURES: dict[str, Callable[[Floats], Floats]] = {
    metrics.DEMOGRAPHIC_PARITY_DIFFERENCE.name: functools.partial(_difference, which=[_SELECTED]),
    metrics.DEMOGRAPHIC_PARITY_RATIO.name: _ratio,
    metrics.EQUALIZED_ODDS_DIFFERENCE.name: functools.partial(_difference, which=[_TRUE, _FALSE]),
    metrics.EQUAL_OPPORTUNITY_DIFFERENCE.name: functools.partial(_difference, which=[_TRUE]),
}


def fairness_checks(outcome: Findings, config: EvaluationConfig) -> list[CheckResult]:
    """A check for each bound of `evaluation.fairness`."""
    by_column = {one.column: one for one in compare_groups(outcome, config)}
    return [_check(one, by_column.get(one.column), config) for one in config.fairness.thresholds]


def _check(threshold: FairnessThreshold, groups: Groups | None, config: EvaluationConfig) -> CheckResult:
    if groups is None:
        why = f"column {threshold.column!r} has more values than groups could be made of"
        return CheckResult.not_judged(str(threshold), why, config.unjudged_severity)
    gap, (verdict, said) = groups.gaps[threshold.metric], _judged(threshold, groups, config)
    found = {"value": gap.value, "low": gap.bounds and gap.bounds.low, "high": gap.bounds and gap.bounds.high}
    if verdict is Verdict.NOT_JUDGED:
        return CheckResult.not_judged(str(threshold), said, config.unjudged_severity, found)
    return CheckResult(str(threshold), verdict is Verdict.PASSED, Severity.CRITICAL, said, found)


def _judged(threshold: FairnessThreshold, groups: Groups, config: EvaluationConfig) -> tuple[Verdict, str]:
    gap, level, many = groups.gaps[threshold.metric], config.confidence, int(groups.compared.sum())
    small = [value for value, compared in zip(groups.values, groups.compared, strict=True) if not compared]
    smaller = f"{some_of([*map(repr, small)], 5)}: fewer than {config.fairness.min_rows:,} rows" if small else ""
    if many < 2:
        said = f"{many} of {len(groups.values)} groups of {groups.column} can be compared ({smaller or 'there is no other'})"
        return Verdict.NOT_JUDGED, f"{said}; give more data, or lower evaluation.fairness.min_rows"
    if gap.value is None or gap.bounds is None:
        said = f"{threshold.metric} is undefined: fewer than two groups have rows of each kind that it compares"
        return Verdict.NOT_JUDGED, said
    rows = f"{int(groups.rows[groups.compared].sum()):,} rows of {many} groups"
    if not threshold.keeps(gap.value):
        verdict, said = Verdict.FAILED, breach(threshold, gap.value)
    elif not threshold.keeps_surely(gap.bounds.low, gap.bounds.high):
        verdict, said = Verdict.FAILED, unsure(gap.metric, threshold, gap.value, gap.bounds, level, rows)
    else:
        verdict = Verdict.PASSED
        said = f"{threshold.metric} {figure(gap.value)} ({words(gap.metric, gap.bounds, level, threshold)}) on {rows}"
    said += f"; {_extremes(groups, gap)}"
    return verdict, said + (f"; not compared: {smaller}" if smaller else "")


def _extremes(groups: Groups, gap: Gap) -> str:
    """Between which groups the gap is, of the rate in which it is widest."""
    rates = np.where(groups.compared[:, None], groups.rates[groups.classes.index(gap.of_class)], np.nan)
    rate = {
        metrics.EQUAL_OPPORTUNITY_DIFFERENCE.name: [_TRUE],
        metrics.EQUALIZED_ODDS_DIFFERENCE.name: [_TRUE, _FALSE],
    }.get(gap.metric.name, [_SELECTED])
    widest = max(rate, key=lambda one: float(np.nanmax(rates[:, one]) - np.nanmin(rates[:, one])))
    low, high = int(np.nanargmin(rates[:, widest])), int(np.nanargmax(rates[:, widest]))
    of = f" of class {gap.of_class!r}" if len(groups.classes) > 1 else ""
    return (
        f"{RATES[widest].replace('_', ' ')}{of}: {groups.values[low]!r} {figure(float(rates[low, widest]))}, "
        f"{groups.values[high]!r} {figure(float(rates[high, widest]))}"
    )


def plain(outcome: Findings, config: EvaluationConfig) -> list[dict[str, Any]]:
    """As metrics.json has it: of each column its groups, with their rates of the class of the widest gap, and its gaps."""
    return [_plain(one, config) for one in compare_groups(outcome, config)]


def _plain(groups: Groups, config: EvaluationConfig) -> dict[str, Any]:
    gaps, first = groups.gaps.values(), groups.gaps[metrics.DEMOGRAPHIC_PARITY_DIFFERENCE.name].of_class
    shown = groups.classes.index(first) if first else 0
    bounds = [one for one in config.fairness.thresholds if one.column == groups.column]
    return {
        "column": groups.column,
        "class": groups.classes[shown],
        "min_rows": config.fairness.min_rows,
        "groups": [
            {"value": value, "rows": int(rows), "compared": bool(compared)}
            | {name: None if np.isnan(rate) else float(rate) for name, rate in zip(RATES, rates, strict=True)}
            for value, rows, compared, rates in zip(
                groups.values, groups.rows, groups.compared, groups.rates[shown], strict=True
            )
        ],
        "gaps": [
            {
                "metric": gap.metric.name,
                "class": gap.of_class,
                "value": gap.value,
                "low": gap.bounds and gap.bounds.low,
                "high": gap.bounds and gap.bounds.high,
                "words": words(gap.metric, gap.bounds, config.confidence) if gap.bounds else "",
                "bars": [
                    {"min": one.min, "max": one.max, "verdict": str(_judged(one, groups, config)[0])}
                    for one in bounds
                    if one.metric == gap.metric.name
                ],
            }
            for gap in gaps
        ],
    }
