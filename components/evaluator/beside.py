"""The model beside simple methods: what it is worth, in figures and in one sentence."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from components.artifacts import BASELINE_FILE
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.gates import CheckResult, Severity


def beside(folder: pathlib.Path, outcome: Findings, config: EvaluationConfig) -> dict[str, Any]:
    """What the Baseline found, and how the model stands to it.

    Returns:
        `methods` of `baseline.json` as they are; the `name` and `baseline_value` of the best by `metric`, beside `model_value`;
        `wins`: whether it is as good as the model or better; None where nothing can be compared; all of that in `words`.
    """
    methods = json.loads((folder / BASELINE_FILE).read_text(encoding="utf-8"))["methods"]
    assert outcome.challenger.sums is not None
    metric = config.champion_metric
    ours = outcome.task.value(metric.name, outcome.challenger.sums)
    values = {one["name"]: one["overall"].get(metric.name) for one in methods if ours is not None}
    theirs = {name: value for name, value in values.items() if value is not None}
    best = min(theirs, key=lambda name: metric.loss(theirs[name], 0.0), default="")
    wins = metric.loss(ours, theirs[best]) >= 0 if best and ours is not None else None
    words = [
        f"{one['name']} was not compared: {one['not_applicable'] or f'{metric.name} is undefined on these rows'}"
        for one in methods
        if one["name"] not in theirs
    ]
    if best:
        (first, value), *rest = [*theirs.items(), ("the model", ours)]
        reached = ", ".join(
            [f"{first} reaches {metric.name} {value:.4f}", *(f"{who} {what:.4f}" for who, what in rest)]
        )
        words.insert(0, reached + (f": {best} wins, the network adds nothing" if wins else ""))
    return {
        "name": best,
        "metric": metric.name,
        "model_value": ours,
        "baseline_value": theirs.get(best),
        "wins": wins,
        "words": "; ".join(words),
        "methods": methods,
    }


def checks_against(found: dict[str, Any] | None) -> list[CheckResult]:
    """A model that a simple method equals is released all the same, and not in silence."""
    applied = [one for one in found["methods"] if not one["not_applicable"]] if found else []
    if found is None or not applied:
        return []
    metric = found["metric"]
    name = f"{metric} against {', '.join(one['name'] for one in applied)}"
    if found["wins"] is None:
        return [CheckResult.not_judged(name, found["words"], Severity.WARNING)]
    figures = {"model": found["model_value"], **{one["name"]: one["overall"].get(metric) for one in applied}}
    return [CheckResult(name, not found["wins"], Severity.WARNING, found["words"], figures)]
