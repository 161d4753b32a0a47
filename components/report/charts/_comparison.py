"""Champion against challenger: the difference with its confidence interval, and how much loss is allowed."""

from __future__ import annotations

from markupsafe import Markup

from components.formats import signed
from components.report.charts._svg import Scale, Svg, spread, tick_label


def interval_chart(
    key: str, metric: str, difference: float, low: float, high: float, max_loss: float, lower_is_better: bool
) -> Markup:
    """The challenger's difference to the champion; right of nought is better when more is better."""
    limit = max_loss if lower_is_better else -max_loss
    width, height, middle = 680.0, 112.0, 52.0
    description = (
        f"Challenger less champion: {signed(difference)}, 95 % interval {signed(low)} to {signed(high)}; "
        f"the limit is {signed(limit)}."
    )
    svg = Svg(key, f"Difference in {metric}", description, width, height, "chart wide")
    x = Scale(*spread((low, high, 0.0, limit, difference), 0.12), 12, width - 12)
    edge = (x(limit), width - 12) if lower_is_better else (12.0, x(limit))
    svg.rect(edge[0], 24, edge[1] - edge[0], 56, "forbidden")
    if edge[1] - edge[0] > 90:
        svg.text((edge[0] + edge[1]) / 2, 75, "too much loss", "tick", "middle")
    svg.line(x(0), 18, x(0), 80, "mark")
    svg.text(x(0), 12, "as good as the champion", "tick", _anchor(x(0), width))
    for tick in x.ticks(6):
        svg.line(x(tick), 80, x(tick), 84, "base")
        svg.text(x(tick), 98, tick_label(tick), "tick", "middle")
    svg.line(12, 80, width - 12, 80, "base")
    svg.line(x(low), middle, x(high), middle, "whisker")
    for end in (low, high):
        svg.line(x(end), middle - 6, x(end), middle + 6, "whisker")
    svg.dot(x(difference), middle, 6, "dot train")
    svg.text(x(difference), middle - 13, signed(difference), "label train", "middle")
    return svg.markup()


def _anchor(at: float, width: float) -> str:
    return "start" if at < 80 else "end" if at > width - 80 else "middle"
