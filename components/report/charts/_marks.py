"""Marks inside table cells. The figure stands beside them, so that they are decoration to a screen reader."""

from __future__ import annotations

from markupsafe import Markup

from components.report.charts._svg import Scale


def bar(share: float, css: str = "train") -> Markup:
    """A bar of 0 to 1 of the cell's width."""
    return Markup(
        '<svg class="bar" aria-hidden="true" viewBox="0 0 100 8" preserveAspectRatio="none">'
        '<rect class="area {}" width="{:.2f}" height="8"/></svg>'
    ).format(css, 100 * min(1.0, max(0.0, share)))


def dot_plot(value: float, low: float, high: float, reference: float, bound: float | None = None) -> Markup:
    """One value among its siblings, with the overall value and the bound as lines."""
    x = Scale(low, high, 5, 135)
    limit = (
        Markup('<line class="limit" x1="{0:.1f}" x2="{0:.1f}" y1="1" y2="15"/>').format(x(bound))
        if bound is not None
        else ""
    )
    return Markup(
        '<svg class="dots" aria-hidden="true" viewBox="0 0 140 16"><line class="base" x1="0" x2="140" y1="8" y2="8"/>'
        '<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="1" y2="15"/>{2}'
        '<circle class="dot train" cx="{1:.1f}" cy="8" r="4"/></svg>'
    ).format(x(reference), x(value), limit)
