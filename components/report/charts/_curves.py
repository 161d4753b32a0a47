"""Lines over a range: learning curves, ROC and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components.formats import figure
from components.report.charts._svg import Scale, Svg, finite_pairs, spread, tick_label

_WIDTH, _HEIGHT = 340.0, 210.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 42.0, 46.0, 14.0, 30.0
_SQUARE = 320.0
_FEW_ROWS = 20


def learning_chart(
    key: str, name: str, epochs: Sequence[float], train: Sequence[float], evaluation: Sequence[float], best: int | None
) -> Markup:
    """One measure over the epochs, for the train and the eval split; the epoch whose weights were kept is marked."""
    lines = {"train": finite_pairs(epochs, train), "eval": finite_pairs(epochs, evaluation)}
    points = [point for line in lines.values() for point in line]
    last = {split: line[-1][1] for split, line in lines.items() if line}
    description = f"{name} over {len(epochs)} epochs. " + ", ".join(
        f"{split}: from {figure(lines[split][0][1])} to {figure(value)}" for split, value in last.items()
    )
    svg = Svg(key, f"{name} by epoch", description, _WIDTH, _HEIGHT)
    x = Scale(*_epoch_range(points), _LEFT, _WIDTH - _RIGHT)
    y = Scale(*spread(value for _, value in points), _HEIGHT - _BOTTOM, _TOP)
    _grid(svg, x, y, _WIDTH - _RIGHT)
    for tick in sorted({round(t) for t in x.ticks(5)}):
        svg.text(x(tick), _HEIGHT - 12, tick_label(tick), "tick", "middle")
    if best is not None and points and x.low <= best <= x.high:
        svg.line(x(best), _TOP, x(best), _HEIGHT - _BOTTOM, "mark")
        svg.text(x(best), _TOP - 4, "kept", "tick", "middle")
    for split, line in lines.items():
        _series(svg, x, y, line, split)
    _end_labels(svg, y, last)
    return svg.markup()


def _epoch_range(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    epochs = [epoch for epoch, _ in points] or [0.0, 1.0]
    return (min(epochs), max(epochs)) if max(epochs) > min(epochs) else (min(epochs) - 1, max(epochs) + 1)


def _grid(svg: Svg, x: Scale, y: Scale, right: float) -> None:
    for tick in y.ticks(6):
        svg.line(_LEFT, y(tick), right, y(tick), "grid")
        svg.text(_LEFT - 6, y(tick) + 4, tick_label(tick), "tick", "end")


def _series(svg: Svg, x: Scale, y: Scale, line: Sequence[tuple[float, float]], css: str) -> None:
    svg.path([(x(a), y(b)) for a, b in line], f"line {css}")
    if len(line) == 1:
        svg.dot(x(line[0][0]), y(line[0][1]), 3, f"dot {css}")


def _end_labels(svg: Svg, y: Scale, last: Mapping[str, float]) -> None:
    """Names the lines at their ends, apart from each other even where the lines meet."""
    taken: list[float] = []
    for split, value in sorted(last.items(), key=lambda item: y(item[1])):
        at = y(value) + 4
        if taken and at - taken[-1] < 13:
            at = taken[-1] + 13
        taken.append(at)
        svg.text(_WIDTH - _RIGHT + 6, at, split, f"label {split}")


def roc_chart(key: str, roc: Mapping[str, Any], champion: Mapping[str, Any] | None, area: float | None) -> Markup:
    """True against false positives; the champion's curve, when there is one, beneath."""
    description = f"Area under the curve: {figure(area)}." if area is not None else "ROC curve of the test split."
    svg, x, y = _square(key, "ROC curve", description, "False positive rate", "True positive rate")
    svg.line(x(0), y(0), x(1), y(1), "mark")
    _curves(svg, x, y, ("fpr", "tpr"), roc, champion)
    svg.text(x(1) - 6, y(0.12), "this model", "label train", "end")
    if champion:
        svg.text(x(1) - 6, y(0.05), "champion", "label champion", "end")
    return svg.markup()


def precision_recall_chart(
    key: str, curve: Mapping[str, Any], champion: Mapping[str, Any] | None, at: tuple[float, float, float] | None
) -> Markup:
    """Precision against recall; the dashed line is what calling every row positive comes to.

    Args:
        champion: of the champion, drawn beneath; None without one.
        at: recall, precision and threshold at which rows are called positive; None where none is called so.
    """
    share = float(curve.get("positive_share") or 0.0)
    description = (
        f"{curve.get('positives', 0):,} positive rows; calling every row positive has a precision of {figure(share)}."
    )
    svg, x, y = _square(key, "Precision and recall", description, "Recall", "Precision")
    svg.line(x(0), y(share), x(1), y(share), "mark")
    _curves(svg, x, y, ("recall", "precision"), curve, champion)
    if at is not None:
        recall, precision, threshold = at
        svg.dot(x(recall), y(precision), 5, "dot eval")
        side, end = (-9, "end") if recall > 0.6 else (9, "start")
        svg.text(
            x(recall) + side,
            y(precision) + (16 if precision > 0.9 else -8),
            f"above {threshold:.3g}",
            "label eval",
            end,
        )
    return svg.markup()


def calibration_chart(key: str, calibration: Mapping[str, Any]) -> Markup:
    """What was predicted against what came true; the area of a dot is the number of rows."""
    points = finite_pairs(calibration.get("mean_predicted", ()), calibration.get("fraction_positive", ()))
    counts = [float(c) for c in calibration.get("count", ())] or [float(_FEW_ROWS)] * len(points)
    solid = [p for p, rows in zip(points, counts, strict=False) if rows >= _FEW_ROWS]
    worst = max((abs(a - b) for a, b in solid), default=0.0)
    description = f"{len(points)} groups of rows by predicted probability; the largest gap is {figure(worst)}."
    svg, x, y = _square(key, "Calibration", description, "Mean predicted probability", "Share that is positive")
    svg.line(x(0), y(0), x(1), y(1), "mark")
    top = max(counts, default=1.0) or 1.0
    weighed = list(zip(points, counts, strict=False))
    # A handful of rows says nothing about calibration: such groups are shown, but the line passes them by.
    svg.path([(x(a), y(b)) for (a, b), rows in weighed if rows >= _FEW_ROWS], "line train thin")
    for (a, b), rows in weighed:
        radius = 2 + 5 * (max(rows, 0) / top) ** 0.5
        svg.dot(x(a), y(b), radius, "dot train" if rows >= _FEW_ROWS else "dot few")
    return svg.markup()


def _curves(
    svg: Svg, x: Scale, y: Scale, axes: tuple[str, str], ours: Mapping[str, Any], champion: Mapping[str, Any] | None
) -> None:
    for curve, css in ((champion or {}, "champion"), (ours, "train")):
        line = finite_pairs(*(curve.get(axis, ()) for axis in axes))
        svg.path([(x(a), y(b)) for a, b in line], f"line {css}")


def _square(key: str, title: str, description: str, x_name: str, y_name: str) -> tuple[Svg, Scale, Scale]:
    svg = Svg(key, title, description, _SQUARE, _SQUARE)
    x, y = Scale(0, 1, 36, _SQUARE - 10), Scale(0, 1, _SQUARE - 42, 24)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        svg.line(x(0), y(tick), x(1), y(tick), "grid")
        svg.line(x(tick), y(0), x(tick), y(1), "grid")
        svg.text(x(tick), y(0) + 16, tick_label(tick), "tick", "middle")
        svg.text(x(0) - 6, y(tick) + 4, tick_label(tick), "tick", "end")
    svg.text((x(0) + x(1)) / 2, _SQUARE - 6, x_name, "axis", "middle")
    svg.text(2, 12, f"↑ {y_name}", "axis")
    return svg, x, y
