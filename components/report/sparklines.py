"""Distributions in the table of columns, small and without axes."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from components.formats import brief, percent, shorten
from components.report.charts import Scale, Svg
from components.report.facts import ColumnFacts, ColumnStatistics

_WIDTH, _HEIGHT = 132.0, 30.0
_SPLIT_CSS = ("train", "eval")


def sparkline(key: str, column: ColumnFacts) -> Markup:
    """A column's distribution: the first split (train) filled, the last (test) drawn over it, both on one scale."""
    found = list(column.splits.values())
    splits = [found[0], *found[1:][-1:]] if found else []
    if any(statistics.histogram for statistics in splits):
        return _numbers(key, column.name, splits)
    if any(statistics.top_values for statistics in splits):
        return _values(key, column.name, splits)
    return Markup("")


def _numbers(key: str, name: str, splits: Sequence[ColumnStatistics]) -> Markup:
    low = min(b[0] for s in splits for b in s.histogram)
    high = max(b[1] for s in splits for b in s.histogram)
    svg = Svg(key, f"Distribution of {name}", f"from {brief(low)} to {brief(high)}", _WIDTH, _HEIGHT, "spark")
    x = Scale(low, high, 0, _WIDTH)
    densities = [_density(s.histogram) for s in splits]
    peak = max((d for split in densities for _, _, d in split), default=0.0) or 1.0
    y = Scale(0, peak, _HEIGHT - 1, 2)
    for css, split in zip(_SPLIT_CSS, densities, strict=False):
        outline = [(x(edge), y(d)) for a, b, d in split for edge in (a, b)]
        if outline and css == "train":
            svg.path([(outline[0][0], y(0)), *outline, (outline[-1][0], y(0))], "area train", closed=True)
        else:
            svg.path(outline, f"line {css} thin")
    svg.line(0, _HEIGHT - 0.5, _WIDTH, _HEIGHT - 0.5, "base")
    return svg.markup()


def _density(histogram: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Share of the rows per bucket: splits of different size become comparable, buckets of no width visible."""
    total = sum(rows for _, _, rows in histogram) or 1.0
    return [(low, high, rows / total) for low, high, rows in histogram]


def _values(key: str, name: str, splits: Sequence[ColumnStatistics]) -> Markup:
    shares = [_shares(s) for s in splits]
    names = list(dict.fromkeys(value for split in shares for value in split))[:8]
    top = ", ".join(f"{shorten(value, 24) or '(empty)'} {percent(shares[0].get(value, 0.0))}" for value in names[:3])
    svg = Svg(key, f"Most frequent values of {name}", top, _WIDTH, _HEIGHT, "spark")
    peak = max((share for split in shares for share in split.values()), default=0.0) or 1.0
    y = Scale(0, peak, _HEIGHT - 1, 2)
    width = min(_WIDTH / max(1, len(names)), 24.0)
    for index, value in enumerate(names):
        for css, split in zip(_SPLIT_CSS, shares, strict=False):
            height = y(split.get(value, 0.0))
            if css == "train":
                svg.rect(index * width, height, width - 2, _HEIGHT - 1 - height, "area train")
            elif value in split:
                svg.line(index * width - 0.5, height, (index + 1) * width - 1.5, height, "line eval thin")
    svg.line(0, _HEIGHT - 0.5, _WIDTH, _HEIGHT - 0.5, "base")
    return svg.markup()


def _shares(statistics: ColumnStatistics) -> dict[str, float]:
    # TFDV keeps the most frequent values only: shares among those, which is what the eye compares.
    total = sum(rows for _, rows in statistics.top_values) or 1.0
    return {value: rows / total for value, rows in statistics.top_values}
