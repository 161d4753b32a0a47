"""The drawing ground: one SVG with a title and a description for those who do not see it, and linear scales."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from components.formats import is_number


class Svg:
    """Collects marks; every text is escaped on its way in. `key` and `css` are the caller's own words, never data."""

    def __init__(self, key: str, title: str, description: str, width: float, height: float, css: str = "chart") -> None:
        self._key, self._title, self._description = key, title, description
        self._width, self._height, self._css = width, height, css
        self._marks: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        self._marks.append(f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def rect(self, x: float, y: float, width: float, height: float, css: str) -> None:
        size = f'width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}"'
        self._marks.append(f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" {size}/>')

    def dot(self, x: float, y: float, radius: float, css: str) -> None:
        self._marks.append(f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')

    def path(self, points: Iterable[tuple[float, float]], css: str, closed: bool = False) -> None:
        steps = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
        if steps:
            self._marks.append(f'<path class="{css}" d="{steps}{"Z" if closed else ""}"/>')

    def text(self, x: float, y: float, text: str, css: str = "", anchor: str = "start") -> None:
        self._marks.append(f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def markup(self) -> Markup:
        head = (
            f'<svg class="{self._css}" role="img" aria-labelledby="{self._key}-t {self._key}-d" '
            f'viewBox="0 0 {self._width:g} {self._height:g}"><title id="{self._key}-t">{escape(self._title)}</title>'
            f'<desc id="{self._key}-d">{escape(self._description)}</desc>'
        )
        return Markup(f"{head}{''.join(self._marks)}</svg>")  # noqa: S704 every text was escaped above


class Scale:
    """A linear map from figures to coordinates."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + (abs(low) or 1.0)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        return self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start)

    def ticks(self, about: int = 4) -> list[float]:
        """Round figures inside the range: steps of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / max(1, about)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]


def tick_label(value: float) -> str:
    """A tick is a round figure: no trailing zeros, thousands as k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k".replace("-", "−")
    return f"{value:.6g}".replace("-", "−")


def finite_pairs(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    """The points that can be drawn: a diverged training leaves NaN."""
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=False) if is_number(x) and is_number(y)]


def spread(values: Iterable[float], margin: float = 0.06) -> tuple[float, float]:
    """The range of values with a little air around it."""
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    air = (high - low) * margin or abs(high) * 0.1 or 0.5
    return low - air, high + air
