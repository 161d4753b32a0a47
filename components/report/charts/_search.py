"""The trials of a search: over time, and by what they tried."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components.formats import figure
from components.report.charts._svg import Scale, Svg, spread, tick_label

_WIDTH, _HEIGHT = 340.0, 210.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 14.0, 30.0
_WIDE, _TALL = 680.0, 260.0


@dataclasses.dataclass(frozen=True)
class Axis:
    """One hyper-parameter's values along a line, from 0 to 1.

    Attributes:
        dimension: of `training.search.space`: `type`, and `low`, `high`, `log`, or `choices`.
    """

    name: str
    dimension: Mapping[str, Any]

    def place(self, value: Any) -> float:
        """Where a value lies."""
        if self.dimension["type"] == "categorical":
            return (self._choices.index(value) + 0.5) / len(self._choices)
        low, high, value = (math.log(one) if self.dimension.get("log") else one for one in (*self._range, value))
        return float((value - low) / (high - low))

    def ticks(self) -> list[tuple[float, str]]:
        """Places with the values that lie there."""
        if self.dimension["type"] == "categorical":
            return [(self.place(one), str(one)) for one in self._choices]
        low, high = self._range
        if not self.dimension.get("log"):
            return [(self.place(one), tick_label(one)) for one in Scale(low, high, 0, 1).ticks(4)]
        powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        values = [10.0**power for power in powers]
        return [(self.place(one), tick_label(one)) for one in (values if len(values) > 1 else [low, high])]

    @property
    def _choices(self) -> Sequence[Any]:
        choices: Sequence[Any] = self.dimension["choices"]
        return choices

    @property
    def _range(self) -> tuple[float, float]:
        return float(self.dimension["low"]), float(self.dimension["high"])


def history_chart(
    key: str, metric: str, trials: Sequence[Mapping[str, Any]], winner: int, lower_is_better: bool
) -> Markup:
    """Each trial's value by its number, and the best that had come to its end so far.

    Args:
        trials: `number`, `state` and `value`, in the order of their numbers.
        winner: its number.
    """
    told = [one for one in trials if one["value"] is not None]
    best = [(one["number"], value) for one, value in zip(told, _best_so_far(told, lower_is_better), strict=True)]
    description = f"{len(told)} trials; the best, number {winner}, came to {figure(dict(best).get(winner))}."
    svg = Svg(key, f"{metric} by trial", description, _WIDE, _TALL, "chart wide")
    x = Scale(0, max((one["number"] for one in trials), default=1), _LEFT, _WIDE - _RIGHT)
    y = Scale(*spread(one["value"] for one in told), _TALL - _BOTTOM, _TOP)
    _grid(svg, y, _WIDE)
    for tick in sorted({round(t) for t in x.ticks(8)}):
        svg.text(x(tick), _TALL - 12, tick_label(tick), "tick", "middle")
    # A step, not a slope: between two trials nothing is known.
    known = [(number, value) for number, value in best if value is not None]
    corners = [point for (a, u), (b, v) in itertools.pairwise(known) for point in ((a, u), (b, u), (b, v))]
    svg.path([(x(a), y(b)) for a, b in corners], "line eval thin")
    for one in told:
        svg.dot(x(one["number"]), y(one["value"]), *_dot(one, winner))
    return svg.markup()


def parallel_chart(
    key: str, metric: str, axes: Sequence[Axis], trials: Sequence[Mapping[str, Any]], winner: int
) -> Markup:
    """A line for each trial, across an axis for each hyper-parameter and one for the value; the winner's stands out."""
    told = [one for one in trials if one["value"] is not None]
    description = f"{len(told)} trials across {', '.join(axis.name for axis in axes)} and {metric}."
    svg = Svg(key, "Parallel coordinates", description, _WIDE, _TALL, "chart wide")
    ends = (_TALL - _BOTTOM, _TOP + 14)
    values = Scale(*spread(one["value"] for one in told), *ends)
    x = Scale(0, len(axes), _LEFT, _WIDE - _LEFT)
    for one in sorted(told, key=lambda one: (one["number"] == winner, one["state"] == "complete")):
        places = [
            (x(i), Scale(0, 1, *ends)(axis.place(one["values"][axis.name])))
            for i, axis in enumerate(axes)
            if axis.name in one["values"]
        ]
        svg.path([*places, (x(len(axes)), values(one["value"]))], f"line {_state(one, winner)}")
    marks = [(axis.name, [(Scale(0, 1, *ends)(at), text) for at, text in axis.ticks()]) for axis in axes]
    marks.append((metric, [(values(tick), tick_label(tick)) for tick in values.ticks(4)]))
    for i, (name, ticks) in enumerate(marks):
        svg.line(x(i), ends[0], x(i), ends[1], "base")
        svg.text(x(i), _TOP, name, "axis", "middle")
        for at, text in ticks:
            svg.text(x(i) - 5, at + 4, text, "tick", "end")
    return svg.markup()


def slice_chart(key: str, metric: str, axis: Axis, trials: Sequence[Mapping[str, Any]], winner: int) -> Markup:
    """Each trial's value by one hyper-parameter."""
    told = [one for one in trials if one["value"] is not None and axis.name in one["values"]]
    svg = Svg(key, f"{metric} by {axis.name}", f"{len(told)} trials.", _WIDTH, _HEIGHT)
    x = Scale(0, 1, _LEFT, _WIDTH - _RIGHT)
    y = Scale(*spread(one["value"] for one in told), _HEIGHT - _BOTTOM, _TOP)
    _grid(svg, y, _WIDTH)
    for at, text in axis.ticks():
        svg.text(x(at), _HEIGHT - 12, text, "tick", "middle")
    for one in sorted(told, key=lambda one: one["number"] == winner):
        svg.dot(x(axis.place(one["values"][axis.name])), y(one["value"]), *_dot(one, winner))
    return svg.markup()


def _best_so_far(trials: Sequence[Mapping[str, Any]], lower_is_better: bool) -> list[float | None]:
    best: list[float | None] = []
    for one in trials:
        before = best[-1] if best else None
        ended = [v for v in (before, one["value"] if one["state"] == "complete" else None) if v is not None]
        best.append((min if lower_is_better else max)(ended, default=None))
    return best


def _grid(svg: Svg, y: Scale, width: float) -> None:
    for tick in y.ticks(5):
        svg.line(_LEFT, y(tick), width - _RIGHT, y(tick), "grid")
        svg.text(_LEFT - 6, y(tick) + 4, tick_label(tick), "tick", "end")


def _state(trial: Mapping[str, Any], winner: int) -> str:
    """A style: of the winner, of those that came to their end, and of those that were pruned."""
    return "eval" if trial["number"] == winner else "train thin" if trial["state"] == "complete" else "few"


def _dot(trial: Mapping[str, Any], winner: int) -> tuple[float, str]:
    style = _state(trial, winner).split()[0]
    return {"eval": 5.0, "train": 3.5}.get(style, 2.5), f"dot {style}"
