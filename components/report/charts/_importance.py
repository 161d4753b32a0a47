"""How much the model needs each column: a bar for each, with its spread over the times that it was shuffled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components.formats import figure, plural, shorten, signed
from components.report.charts._svg import Scale, Svg, tick_label

_ROW, _TOP, _NAMES, _WIDTH, _MARGIN = 22.0, 8.0, 210.0, 680.0, 66.0


def importance_chart(key: str, metric: str, columns: Sequence[Mapping[str, Any]]) -> Markup:
    """Bars from nought to the mean loss of each column, with a line from the least to the most.

    Args:
        columns: `column`, `drop`, `least` and `most` of each, in the order of the bars.
    """
    height = _TOP + _ROW * len(columns) + 26
    first = f"; the most needed is {columns[0]['column']}, {figure(columns[0]['drop'])}" if columns else ""
    description = f"Loss of {metric} when a column is shuffled, {plural(len(columns), 'column')}{first}."
    svg = Svg(key, f"Loss of {metric} by column", description, _WIDTH, height, "chart wide")
    ends = [one[name] for one in columns for name in ("least", "most")]
    x = Scale(min(0.0, *ends), max(0.0, *ends), _NAMES + 8, _WIDTH - _MARGIN)
    bottom = _TOP + _ROW * len(columns)
    for tick in x.ticks(5):
        svg.line(x(tick), _TOP, x(tick), bottom, "grid")
        svg.text(x(tick), bottom + 16, tick_label(tick), "tick", "middle")
    for place, one in enumerate(columns):
        y = _TOP + _ROW * (place + 0.5)
        left, right = sorted((x(0), x(one["drop"])))
        svg.text(_NAMES, y + 4, shorten(one["column"], 32), "tick", "end")
        svg.rect(left, y - 6, right - left, 12, "area train")
        svg.line(x(one["least"]), y, x(one["most"]), y, "whisker")
        svg.text(max(right, x(one["most"])) + 7, y + 4, signed(one["drop"]), "tick")
    svg.line(x(0), _TOP, x(0), bottom, "base")
    return svg.markup()
