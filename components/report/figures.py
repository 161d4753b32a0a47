"""The figures of an evaluation: those that the model's task names, where metrics.json has their data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from components.formats import is_number
from components.report import charts
from components.report.facts import RunFacts
from components.tasks import View

_SQUARE = frozenset({"roc", "precision_recall", "calibration"})


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        chart: None: it is a table, of `data`.
        data: its part of metrics.json.
        is_square: whether several fit beside each other.
    """

    title: str
    caption: str
    chart: Markup | None
    data: Any
    is_square: bool


def figures(facts: RunFacts) -> tuple[Figure, ...]:
    """The task's figures, in its order."""
    metrics = facts.metrics or {}
    views = facts.task.views if facts.task else ()
    drawn = ((view, view.key or view.chart) for view in views)
    return tuple(
        Figure(view.title, view.caption, _draw(view, key, metrics), metrics[key], view.chart in _SQUARE)
        for view, key in drawn
        if metrics.get(key)
    )


def _draw(view: View, key: str, metrics: Mapping[str, Any]) -> Markup | None:
    data, champion, identifier = metrics[key], (metrics.get("champion") or {}).get(key), key.replace("_", "-")
    if view.chart == "roc":
        return charts.roc_chart(identifier, data, champion, (metrics.get("overall") or {}).get("auc"))
    if view.chart == "precision_recall":
        return charts.precision_recall_chart(identifier, data, champion, _chosen_threshold(metrics))
    if view.chart == "calibration":
        return charts.calibration_chart(identifier, data)
    if view.chart == "classes":
        return charts.class_table(view.title, data)
    return charts.histogram_chart(identifier, view.title, data) if view.chart == "histogram" else None


def _chosen_threshold(metrics: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """Recall, precision and threshold at which the model calls rows positive; None where there is no such point."""
    overall = metrics.get("overall") or {}
    figures = (overall.get("recall"), overall.get("precision"), metrics.get("threshold"))
    found = [float(one) for one in figures if one is not None and is_number(one)]
    return (found[0], found[1], found[2]) if len(found) == len(figures) else None
