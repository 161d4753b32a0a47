"""The site's charts: a figure over the spans, and a distribution beside its reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from markupsafe import Markup

from components.formats import brief, is_number, percent, shorten
from components.report.charts import Scale, Svg, tick_label
from quality.history import Column

_WIDTH, _HEIGHT = 680.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 16.0, 22.0, 30.0
_SPARK_WIDTH, _SPARK_HEIGHT = 132.0, 30.0
_VALUES = 8


@dataclasses.dataclass(frozen=True)
class Axis:
    """The validations of a chart, oldest first.

    Attributes:
        labels: what each is called, e.g. `12` for span 12.
        releases: (place among the validations, text) of each release.
    """

    labels: Sequence[str]
    releases: Sequence[tuple[int, str]] = ()


@dataclasses.dataclass(frozen=True)
class Line:
    """One value per validation; None where it is unknown."""

    name: str
    values: Sequence[float | None]


def over_time(
    key: str,
    title: str,
    axis: Axis,
    lines: Sequence[Line],
    bands: Sequence[tuple[Sequence[float | None], Sequence[float | None]]] = (),
    limit: float | None = None,
    floor: float | None = None,
    least: float = 0.0,
    tick: Callable[[float], str] = tick_label,
) -> Markup:
    """Lines, and bands between two of them, over the validations; releases are marked on the axis.

    Args:
        key: unique on the page.
        bands: (lower, upper) values, drawn from the first to the last.
        floor: the lower end of the scale, e.g. 0 for shares.
        least: height of the scale at least: what hardly moves has to look so.
    """
    known = [v for line in lines for v in line.values if v is not None]
    known += [v for band in bands for edge in band for v in edge if v is not None]
    if not known:
        return Markup("")
    svg = Svg(key, title, _description(lines), _WIDTH, _HEIGHT, "chart wide")
    low, high = min(known), max(known)
    if limit is not None:
        low, high = min(low, limit), max(high, limit)
    if floor is not None:
        low = min(low, floor)
        high = max(high, floor + least)
    air = (high - low) * 0.06 or abs(high) * 0.1 or 0.5
    x = Scale(-0.5, max(len(axis.labels) - 0.5, 0.5), _LEFT, _WIDTH - _RIGHT)
    y = Scale(low if floor is not None else low - air, high + air, _HEIGHT - _BOTTOM, _TOP)
    _frame(svg, x, y, axis, tick)
    for lower, upper in bands:
        _band(svg, x, y, lower, upper)
    if limit is not None:
        svg.line(_LEFT, y(limit), _WIDTH - _RIGHT, y(limit), "limit")
        svg.text(_WIDTH - _RIGHT, y(limit) - 4, f"limit {brief(limit)}", "tick", "end")
    for line in lines:
        _line(svg, x, y, line)
    return svg.markup()


def _description(lines: Sequence[Line]) -> str:
    parts = []
    for line in lines:
        known = [value for value in line.values if value is not None]
        if known:
            parts.append(f"{line.name}: {brief(known[0])} at first, {brief(known[-1])} at last")
    return "; ".join(parts)


def _frame(svg: Svg, x: Scale, y: Scale, axis: Axis, label_of: Callable[[float], str]) -> None:
    for tick in y.ticks(4):
        svg.line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid")
        svg.text(_LEFT - 6, y(tick) + 4, label_of(tick), "tick", "end")
    every = max(1, -(-len(axis.labels) // 12))
    for place, label in enumerate(axis.labels):
        if place % every == 0:
            svg.text(x(place), _HEIGHT - 12, shorten(label, 12), "tick", "middle")
    last = -1e9
    for place, text in axis.releases:
        svg.line(x(place), _TOP - 4, x(place), _HEIGHT - _BOTTOM, "mark")
        if x(place) - last > 26:  # marks close to each other share a label
            svg.text(x(place), _TOP - 8, text, "tick", "middle")
            last = x(place)


def _band(svg: Svg, x: Scale, y: Scale, lower: Sequence[float | None], upper: Sequence[float | None]) -> None:
    for part in _runs([None if a is None or b is None else (a, b) for a, b in zip(lower, upper, strict=True)]):
        top = [(x(place), y(b)) for place, (_, b) in part]
        bottom = [(x(place), y(a)) for place, (a, _) in reversed(part)]
        svg.path([*top, *bottom], "area band", closed=True)


def _line(svg: Svg, x: Scale, y: Scale, line: Line) -> None:
    for part in _runs(line.values):
        points = [(x(place), y(value)) for place, value in part]
        svg.path(points, "line train")
        if len(points) == 1 or len(line.values) <= 40:
            for at in points:
                svg.dot(*at, 2.6, "dot train")


def _runs(values: Sequence) -> list[list]:
    """The runs of known values: a gap in the data is a gap in the line."""
    found: list[list] = [[]]
    for place, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append((place, value))
    return [run for run in found if run]


def trend(
    key: str, name: str, values: Sequence[float | None], floor: float | None = None, least: float | None = None
) -> Markup:
    """A sparkline for a table cell.

    Args:
        key: unique on the page.
        values: oldest first.
        floor: the least end of the scale.
        least: height of the scale at least, default a fifth of the largest value: what hardly moves has to look so.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    description = f"from {brief(known[0])} to {brief(known[-1])}"
    svg = Svg(key, f"{name} over time", description, _SPARK_WIDTH, _SPARK_HEIGHT, "spark")
    low, high = min(known) if floor is None else floor, max(known)
    lacking = max(0.0, (0.2 * max(map(abs, known)) if least is None else least) - (high - low))
    low, high = (low, high + lacking) if floor is not None else (low - lacking / 2, high + lacking / 2)
    x, y = Scale(0, len(values) - 1, 2, _SPARK_WIDTH - 4), Scale(low, high, _SPARK_HEIGHT - 4, 4)
    for part in _runs(values):
        svg.path([(x(place), y(value)) for place, value in part], "line train thin")
    place, value = [(p, v) for p, v in enumerate(values) if v is not None][-1]
    svg.dot(x(place), y(value), 2.4, "dot train")
    return svg.markup()


def beside(key: str, new: Column, reference: Column | None, reference_name: str = "") -> Markup:
    """A column's distribution filled, that of the reference as an outline, both as shares of their rows."""
    if new.histogram:
        return _numbers(key, new, reference, reference_name)
    if new.top_values:
        return _texts(key, new, reference, reference_name)
    return Markup("")


def _numbers(key: str, new: Column, reference: Column | None, reference_name: str) -> Markup:
    shapes = [_density(new.histogram)] + ([_density(reference.histogram)] if reference and reference.histogram else [])
    low = min(a for shape in shapes for a, _, _ in shape)
    high = max(b for shape in shapes for _, b, _ in shape)
    description = f"from {brief(low)} to {brief(high)}" + (f", beside {reference_name}" if len(shapes) > 1 else "")
    svg = Svg(key, f"Distribution of {new.name}", description, 320.0, 110.0)
    x = Scale(low, high, 4, 316)
    y = Scale(0, max((d for shape in shapes for _, _, d in shape), default=0.0) or 1.0, 88, 6)
    for css, shape in zip(("train", "eval"), shapes, strict=False):
        outline = [(x(edge), y(d)) for a, b, d in shape for edge in (a, b)]
        if css == "train" and outline:
            svg.path([(outline[0][0], y(0)), *outline, (outline[-1][0], y(0))], "area train", closed=True)
        else:
            svg.path(outline, "line eval thin")
    svg.line(4, 88, 316, 88, "base")
    svg.text(4, 104, brief(low), "tick")
    svg.text(316, 104, brief(high), "tick", "end")
    return svg.markup()


def _density(histogram: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Share of the rows per unit of width, which makes histograms with different buckets comparable."""
    total = sum(rows for _, _, rows in histogram) or 1.0
    widest = max((b - a for a, b, _ in histogram), default=1.0) or 1.0
    return [(a, b, rows / total / max(b - a, widest * 1e-3)) for a, b, rows in histogram]


def _texts(key: str, new: Column, reference: Column | None, reference_name: str) -> Markup:
    shares = [_shares(new)] + ([_shares(reference)] if reference and reference.top_values else [])
    names = sorted({v for one in shares for v in one}, key=lambda v: -max(one.get(v, 0.0) for one in shares))[:_VALUES]
    height = 8.0 + 20 * len(names)
    top = ", ".join(f"{shorten(name, 24) or '(empty)'} {percent(shares[0].get(name, 0.0))}" for name in names[:3])
    described = f"{top}{f', beside {reference_name}' if len(shares) > 1 else ''}"
    svg = Svg(key, f"Most frequent values of {new.name}", described, 320.0, height)
    x = Scale(0, max((one.get(n, 0.0) for one in shares for n in names), default=0.0) or 1.0, 120, 278)
    for place, name in enumerate(names):
        at = 4.0 + 20 * place
        svg.text(114, at + 12, shorten(name, 18) or "(empty)", "tick", "end")
        share = shares[0].get(name, 0.0)
        svg.rect(120, at + 2, x(share) - 120, 12, "area train")
        svg.text(x(max(one.get(name, 0.0) for one in shares)) + 4, at + 12, percent(share), "tick")
        if len(shares) > 1:
            svg.line(x(shares[1].get(name, 0.0)), at, x(shares[1].get(name, 0.0)), at + 16, "line eval")
    return svg.markup()


def _shares(column: Column) -> dict[str, float]:
    """Shares of all rows with a value; values that are not among the most frequent are not drawn."""
    present = column.rows * (1 - column.missing) or sum(rows for _, rows in column.top_values) or 1.0
    return {value: rows / present for value, rows in column.top_values if is_number(rows)}
