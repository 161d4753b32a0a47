"""The model beside a simple method: what it is worth, in figures and in one sentence."""

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
        `baseline.json` as it is, with `metric`, `model_value`, `baseline_value`, `wins` (whether the simple method is as good
        or better; None where one of the two has no value) and `words`.
    """
    found: dict[str, Any] = json.loads((folder / BASELINE_FILE).read_text(encoding="utf-8"))
    assert outcome.challenger.sums is not None
    metric = config.champion_metric.name
    ours, theirs = outcome.task.value(metric, outcome.challenger.sums), found["overall"].get(metric)
    wins = None
    words = f"{found['name']} was not compared: {found['not_applicable'] or f'{metric} is undefined on these rows'}"
    if ours is not None and theirs is not None:
        wins = config.champion_metric.loss(ours, theirs) >= 0
        words = f"{found['name']} reaches {metric} {theirs:.4f}, the model {ours:.4f}"
        words += ": the network adds nothing" if wins else ""
    return {**found, "metric": metric, "model_value": ours, "baseline_value": theirs, "wins": wins, "words": words}


def checks_against(found: dict[str, Any] | None) -> list[CheckResult]:
    """A model that a simple method equals is released all the same, and not in silence."""
    if found is None or found["not_applicable"]:
        return []
    name = f"{found['metric']} against {found['name']}"
    if found["wins"] is None:
        return [CheckResult.not_judged(name, found["words"], Severity.WARNING)]
    figures = {"model": found["model_value"], "baseline": found["baseline_value"]}
    return [CheckResult(name, not found["wins"], Severity.WARNING, found["words"], figures)]
