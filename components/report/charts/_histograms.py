"""A distribution over a whole width, e.g. of residuals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from components.formats import figure, is_number
from components.report.charts._svg import Scale, Svg, tick_label


def histogram_chart(key: str, title: str, histogram: Mapping[str, Any]) -> Markup:
    """How many rows have which value, e.g. of their residuals; 0 is marked."""
    edges = [float(edge) for edge in histogram.get("edges", ()) if is_number(edge)]
    counts = [float(c) for c in histogram.get("counts", ()) if is_number(c)]
    if len(edges) != len(counts) + 1 or not counts:
        return Markup("")
    width, height, bottom = 680.0, 220.0, 190.0
    description = f"{sum(counts):,.0f} rows; from {figure(edges[0])} to {figure(edges[-1])}."
    svg = Svg(key, title, description, width, height, "chart wide")
    x, y = Scale(edges[0], edges[-1], 44, width - 10), Scale(0, max(counts) * 1.05 or 1, bottom, 12)
    for tick in y.ticks(4):
        svg.line(44, y(tick), width - 10, y(tick), "grid")
        svg.text(38, y(tick) + 4, tick_label(tick), "tick", "end")
    for low, high, rows in zip(edges, edges[1:], counts, strict=False):
        svg.rect(x(low) + 0.5, y(rows), x(high) - x(low) - 1, bottom - y(rows), "area train")
    for tick in x.ticks(8):
        svg.text(x(tick), bottom + 18, tick_label(tick), "tick", "middle")
    if edges[0] < 0 < edges[-1]:
        svg.line(x(0), 8, x(0), bottom, "mark")
    return svg.markup()
