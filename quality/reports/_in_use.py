"""Charts of a model in use: how well the stable release answered, and how far requests and answers are from the training's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from quality.history import SERVING, Change
from quality.reports import _charts
from quality.reports.site_views import Entry, WorkloadView
from spec.metrics import find

_UNBOUNDED = 2
"""How many metrics to draw of a workload that bounds none."""
_LARGEST = {
    "skew": "Requests: the largest PSI of any column",
    "prediction_drift": "Answers: the largest PSI of any output",
}


def charts(view: WorkloadView, most: int) -> list[tuple[str, Markup]]:
    """(title, SVG) of each chart.

    Args:
        most: how many looks to draw, the newest.
    """
    looks = [entry for entry in reversed(view.entries) if entry.validation.id in view.live][-most:]
    asked = [entry for entry in reversed(view.entries) if entry.validation.source == SERVING][-most:]
    return [*_metrics(view, looks), *_drift(view, asked)]


def _metrics(view: WorkloadView, looks: Sequence[Entry]) -> Iterable[tuple[str, Markup]]:
    stable = [next((one for one in view.live[e.validation.id] if one["label"] == "stable"), None) for e in looks]
    newest: Mapping[str, Any] = next((one["metrics"] for one in reversed(stable) if one and one["metrics"]), {})
    bounded = [name for name, one in newest.items() if one["min"] is not None or one["max"] is not None]
    axis = _charts.Axis([entry.validation.created_at[:10] for entry in looks], tuple(_changes_of_version(stable)))
    for name in bounded or list(newest)[:_UNBOUNDED]:
        at = {key: [_figure(one, name, key) for one in stable] for key in ("value", "low", "high")}
        limit = newest[name]["max"] if newest[name]["min"] is None else newest[name]["min"]
        title = f"{find(name).title} of the stable release, by labels that came later"
        line = _charts.Line(find(name).title, at["value"])
        yield title, _charts.over_time(f"live-{name}", title, axis, [line], [(at["low"], at["high"])], limit=limit)


def _figure(one: Mapping[str, Any] | None, metric: str, key: str) -> float | None:
    """A figure of a metric of a version; None where it was not known then."""
    found: float | None = one["metrics"].get(metric, {}).get(key) if one else None
    return found


def _changes_of_version(stable: Sequence[Mapping[str, Any] | None]) -> Iterable[tuple[int, str]]:
    last = None
    for place, one in enumerate(stable):
        if one and one["version"] != last:
            last = one["version"]
            yield place, f"v{last}"


def _drift(view: WorkloadView, asked: Sequence[Entry]) -> Iterable[tuple[str, Markup]]:
    axis = _charts.Axis([entry.validation.created_at[:10] for entry in asked])
    for kind, title in _LARGEST.items():
        found = [_psi(view, entry, kind) for entry in asked]
        limit = next((min(limits) for _, limits in reversed(found) if limits), None)
        line = _charts.Line("PSI", [max(values, default=None) for values, _ in found])
        yield title, _charts.over_time(f"largest-{kind}", title, axis, [line], limit=limit, floor=0.0)


def _psi(view: WorkloadView, entry: Entry, kind: str) -> tuple[list[float], list[float]]:
    """The values of all columns in one look, and their limits."""
    changes: list[Change] = [
        change
        for of_column in view.changes.values()
        for change in of_column.get(entry.validation.id, ())
        if change.kind == kind and change.measure == "psi" and not change.slice
    ]
    return [one.value for one in changes], [one.limit for one in changes if one.limit is not None]
