"""How much each column has of something: a bar for each, with a line for its spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from components.formats import shorten
from components.report.charts._svg import Scale, Svg, tick_label

_ROW, _TOP, _NAMES, _WIDTH, _MARGIN = 22.0, 8.0, 210.0, 680.0, 66.0


class ColumnBar(NamedTuple):
    """A bar from nought to a value, a line from the least to the most, and the value in words."""

    column: str
    value: float
    least: float
    most: float
    words: str


def column_chart(key: str, title: str, description: str, bars: Sequence[ColumnBar]) -> Markup:
    """Bars in their order, from above."""
    height = _TOP + _ROW * len(bars) + 26
    svg = Svg(key, title, description, _WIDTH, height, "chart wide")
    ends = [end for one in bars for end in (one.least, one.most, one.value)]
    x = Scale(min(0.0, *ends), max(0.0, *ends), _NAMES + 8, _WIDTH - _MARGIN)
    bottom = _TOP + _ROW * len(bars)
    for tick in x.ticks(5):
        svg.line(x(tick), _TOP, x(tick), bottom, "grid")
        svg.text(x(tick), bottom + 16, tick_label(tick), "tick", "middle")
    for place, one in enumerate(bars):
        y = _TOP + _ROW * (place + 0.5)
        left, right = sorted((x(0), x(one.value)))
        svg.text(_NAMES, y + 4, shorten(one.column, 32), "tick", "end")
        svg.rect(left, y - 6, right - left, 12, "area train")
        svg.line(x(one.least), y, x(one.most), y, "whisker")
        svg.text(max(right, x(one.most)) + 7, y + 4, one.words, "tick")
    svg.line(x(0), _TOP, x(0), bottom, "base")
    return svg.markup()
