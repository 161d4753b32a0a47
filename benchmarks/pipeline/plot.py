"""Plots measurements as one SVG: bars for each stage and side, and lines over the number of rows if several sizes were measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from benchmarks.pipeline.measurement import LINES, STAGES, WHOLE, Measurement, Results, growing, sizes
from components.report.charts import Scale, Svg, tick_label

_WIDTH, _MARGIN = 960.0, 24.0
_NAMES = {"stock": "stock TFX", "trainyard": "Trainyard", "floor": "script written by hand"}
# Okabe and Ito's vermilion and blue, and a grey: distinguishable with any colour vision, and in greyscale.
_STYLE = Markup("""
text { font: 13px system-ui, "DejaVu Sans", Arial, sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; }
.quiet { font-size: 12px; fill: #57606a; }
.strong { font-weight: 600; }
.paper { fill: #ffffff; }
.grid { stroke: #e3e6ea; stroke-width: 1; }
.base { stroke: #8c959f; stroke-width: 1; }
.whisker { stroke: #1f2328; stroke-width: 1.2; }
rect.stock, circle.stock { fill: #d55e00; } rect.trainyard, circle.trainyard { fill: #0072b2; }
rect.floor, circle.floor { fill: #999999; }
path { fill: none; stroke-width: 2.2; }
path.stock { stroke: #d55e00; } path.trainyard { stroke: #0072b2; } path.floor { stroke: #999999; }
""")

_LABELS = 170.0  # width of the lines' names
_BAR, _GAP, _GROUP_GAP = 13.0, 2.0, 12.0
_FIGURES = 150.0  # room for the figure after the longest bar
_PANEL, _PANEL_GAP, _AXIS = 190.0, 62.0, 46.0
_PANELS_A_ROW = 3
# The lines that are plotted over rows; the others hardly depend on them.
_GROWING = (WHOLE, *(stage for stage in STAGES if stage != "validation"))


def plot(results: Results) -> str:
    """A complete SVG file with a white background."""
    drawing = _Drawing()
    for sides in sizes(results.measurements).values():
        drawing.bars(sides)
    for case, ones in growing(results.measurements).items():
        drawing.lines(case, ones)
    drawing.footer(f"Measured {results.measured_at} on {results.machine}.")
    return drawing.file()


class _Drawing:
    """Charts below one another; `_y` is where the next begins."""

    def __init__(self) -> None:
        self._y = _MARGIN
        self._marks: list[tuple[str, tuple[object, ...]]] = []
        self._described: list[str] = []

    def _add(self, kind: str, *arguments: object) -> None:
        self._marks.append((kind, arguments))

    def bars(self, sides: dict[str, Measurement]) -> None:
        one = next(iter(sides.values()))
        title = f"{one.case}: {one.rows:,} rows, {one.columns} columns"
        self._heading(title, f"{one.title}, {one.data_mb:,.1f} MiB; seconds, less is better", list(sides))
        drawn = {side: one for side, one in sides.items() if not one.failure}
        longest = max((max(one.seconds(line)) for one in drawn.values() for line in LINES), default=1.0)
        x = Scale(0.0, longest, _MARGIN + _LABELS, _WIDTH - _MARGIN - _FIGURES)
        top = self._y
        shown = [line for line in LINES if any(max(one.seconds(line)) >= 0.005 for one in drawn.values())]
        height = len(shown) * (len(drawn) * (_BAR + _GAP) + _GROUP_GAP)
        for tick in x.ticks(6):
            self._add("line", x(tick), top, x(tick), top + height, "grid")
            self._add("text", x(tick), top + height + 16, tick_label(tick), "quiet", "middle")
        for line in shown:
            self._y += _GROUP_GAP / 2
            middle = self._y + len(drawn) * (_BAR + _GAP) / 2
            self._add("text", _MARGIN + _LABELS - 10, middle + 4, line, "strong" if line == WHOLE else "", "end")
            for side, measurement in drawn.items():
                self._bar(x, side, measurement.seconds(line), measurement.median(line))
            self._y += _GROUP_GAP / 2
        self._add("line", x(0), top, x(0), top + height, "base")
        self._described.append(
            f"{title}: " + ", ".join(f"{_NAMES[s]} {one.median(WHOLE):.1f} s" for s, one in drawn.items())
        )
        self._y += 44
        for side, failed in sides.items():
            if failed.failure:
                self._add("text", _MARGIN, self._y - 12, f"{_NAMES[side]}: {failed.failure[:110]}", "quiet", "start")
                self._y += 20

    def _bar(self, x: Scale, side: str, seconds: Sequence[float], median: float) -> None:
        if max(seconds) >= 0.005:
            self._add("rect", x(0), self._y, max(1.0, x(median) - x(0)), _BAR, side)
            end = x(max(seconds))
            if len(seconds) > 1:
                self._add("line", x(min(seconds)), self._y + _BAR / 2, end, self._y + _BAR / 2, "whisker")
            self._add("text", end + 6, self._y + _BAR - 2, _seconds(median), "quiet", "start")
        self._y += _BAR + _GAP

    def lines(self, case: str, ones: list[dict[str, Measurement]]) -> None:
        present = [side for side in _NAMES if any(side in sides for sides in ones)]
        self._heading(
            f"{case}: how cost grows", "seconds over rows; a straight line through the origin is linear", present
        )
        width = (_WIDTH - 2 * _MARGIN - (_PANELS_A_ROW - 1) * _AXIS) / _PANELS_A_ROW
        for number, line in enumerate(_GROWING):
            column = number % _PANELS_A_ROW
            if number and column == 0:
                self._y += _PANEL + _PANEL_GAP
            self._panel(line, ones, _MARGIN + column * (width + _AXIS) + _AXIS, width - _AXIS)
        self._y += _PANEL + _PANEL_GAP + 10

    def _panel(self, line: str, ones: list[dict[str, Measurement]], left: float, width: float) -> None:
        points = {side: list(_points(ones, side, line)) for side in _NAMES}
        top, bottom = self._y + 22, self._y + _PANEL
        x = Scale(0.0, max((p[0] for ps in points.values() for p in ps), default=1.0), left, left + width)
        y = Scale(0.0, max((p[1] for ps in points.values() for p in ps), default=1.0), bottom, top)
        self._add("text", left, self._y + 8, line, "strong", "start")
        for tick in y.ticks(4):
            self._add("line", left, y(tick), left + width, y(tick), "grid")
            self._add("text", left - 7, y(tick) + 4, tick_label(tick), "quiet", "end")
        for tick in x.ticks(3):
            self._add("line", x(tick), bottom, x(tick), bottom + 4, "base")
            self._add("text", x(tick), bottom + 18, _rows(tick), "quiet", "middle")
        self._add("line", left, bottom, left + width, bottom, "base")
        for side, found in points.items():
            self._add("path", [(x(rows), y(seconds)) for rows, seconds in found], side)
            for rows, seconds in found:
                self._add("dot", x(rows), y(seconds), 4.0, side)

    def _heading(self, title: str, words: str, sides: list[str]) -> None:
        self._add("text", _MARGIN, self._y + 14, title, "title", "start")
        self._add("text", _MARGIN, self._y + 34, words, "quiet", "start")
        at = _WIDTH - _MARGIN
        for side in reversed(sides):
            name = _NAMES[side]
            at -= 7.2 * len(name)
            self._add("text", at, self._y + 14, name, "", "start")
            at -= 18
            self._add("rect", at, self._y + 3, 12.0, 12.0, side)
            at -= 18
        self._y += 52

    def footer(self, words: str) -> None:
        self._add("text", _MARGIN, self._y, words, "quiet", "start")
        self._y += 10

    def file(self) -> str:
        height = self._y + _MARGIN / 2
        svg = Svg("bench", "Trainyard's benchmark", "; ".join(self._described), _WIDTH, height)
        svg.rect(0, 0, _WIDTH, height, "paper")
        for kind, arguments in self._marks:
            getattr(svg, kind)(*arguments)
        # Charts in a report get namespace and style from their page; a file needs its own.
        frame = Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{0:g}" height="{1:g}" viewBox="0 0 {0:g} {1:g}">'
            "<style>{2}</style>{3}</svg>\n"
        )
        return str(frame.format(_WIDTH, height, _STYLE, svg.markup()))


def _points(ones: list[dict[str, Measurement]], side: str, line: str) -> Iterator[tuple[float, float]]:
    for sides in ones:
        if side in sides and not math.isnan(seconds := sides[side].median(line)):
            yield sides[side].rows, seconds


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 100 else f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"


def _rows(value: float) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1000:g}k" if value else "0"
