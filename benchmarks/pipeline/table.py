"""Measurements as tables, for the terminal and in markdown, so that no figure is ever typed by hand."""

from __future__ import annotations

import itertools
import math
import operator
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.pipeline import case as cases
from benchmarks.pipeline.case import Goal
from benchmarks.pipeline.measurement import EXTRA, LINES, WHOLE, Measurement, Results, growing, sizes

_NAMES = {"stock": "stock", "trainyard": "Trainyard", "floor": "script"}
_METRICS = {"auc": "AUC", "accuracy": "accuracy"}
_LEAST_SECONDS = 0.02

Sides = Mapping[str, Measurement]
Row = list[str]


def to_text(results: Results) -> str:
    """For the terminal: a table for each case and size, then one for growth."""
    return _render(results, aligned, lambda title: title)


def to_markdown(results: Results) -> str:
    """For docs/performance.md and README.md."""
    return _render(results, _piped, lambda title: f"**{title}**") + "\n"


def growth(small: Measurement, large: Measurement, line: str) -> float:
    """How much faster than the rows a line's time grows: 1 is linear, less is better."""
    return _ratio(large.median(line), small.median(line)) / (large.rows / small.rows)


def _render(results: Results, tabulate: Callable[[list[Row]], str], headline: Callable[[str], str]) -> str:
    parts = []
    for sides in sizes(results.measurements).values():
        parts += [headline(_title(sides)), tabulate(_table(sides))]
        parts += [f"{_NAMES[one.side]}: {one.failure}" for one in sides.values() if one.failure]
    for case, ones in growing(results.measurements).items():
        parts += [headline(f"{case}: seconds per million rows, and growth"), tabulate(_growth_table(ones))]
    parts.append(f"Measured {results.measured_at} on {results.machine}.")
    return "\n\n".join(parts)


def _title(sides: Sides) -> str:
    one = next(iter(sides.values()))
    rounds = max(len(side.rounds) for side in sides.values())
    spread = f"; median of {rounds} rounds (least..most)" if rounds > 1 else ""
    kinds = sorted({r.limit for side in sides.values() for r in side.rounds})
    limit = f"; memory limited to {one.memory_mb:,} MiB ({', '.join(kinds)})" if one.memory_mb else ""
    return f"{one.case}: {one.title}, {one.rows:,} rows, {one.columns} columns, {one.data_mb:,.1f} MiB; seconds{spread}{limit}"


def _table(sides: Sides) -> list[Row]:
    one = next(iter(sides.values()))
    head = ["", *(_NAMES[side] for side in sides), "stock / Trainyard", "goal", "Trainyard / script"]
    goals = cases.load(one.case).goals(one.rows)
    rows = [_seconds_row(line, sides, [goal for goal in goals if goal.line == line]) for line in LINES]
    memory = {side: one.middle("peak_mb") for side, one in sides.items()}
    cpu = {side: one.middle("cpu_seconds") for side, one in sides.items()}
    per_second = [_figure(one.rows / one.median(WHOLE), ",.0f") for one in sides.values()]
    rows += [
        ["rows per second", *per_second],
        ["CPU seconds", *(_figure(v, ".1f") for v in cpu.values()), *_ratios(cpu)],
        ["peak memory of all processes, MiB", *(_figure(v, ",.0f") for v in memory.values()), *_ratios(memory)],
        [f"{_METRICS[one.metric]} of the model", *(_figure(one.middle("quality"), ".4f") for one in sides.values())],
        ["rows evaluated", *(_figure(one.middle("eval_rows"), ",.0f") for one in sides.values())],
        ["load before", *(f"{statistics.fmean(r.load for r in one.rounds):.1f}" for one in sides.values())],
    ]
    return [head, *(row + [""] * (len(head) - len(row)) for row in rows)]


def _seconds_row(line: str, sides: Sides, goals: list[Goal]) -> Row:
    cells = [_spread(one.seconds(line)) for one in sides.values()]
    if line == EXTRA:
        return [line, *(cell if side == "trainyard" else "" for side, cell in zip(sides, cells, strict=True))]
    faster, _, slower = _ratios({side: one.median(line) for side, one in sides.items()})
    return [line, *cells, faster, _judged(goals, sides), slower]


def _ratios(values: Mapping[str, float]) -> Row:
    ours = values.get("trainyard", math.nan)
    faster = _ratio(values.get("stock", math.nan), ours)
    slower = _ratio(ours, values.get("floor", math.nan))
    return [_times(faster), "", _times(slower)]


def _judged(goals: list[Goal], sides: Sides) -> str:
    ours = sides.get("trainyard")
    told = []
    for goal in goals:
        mine = ours.median(goal.line) if ours else math.nan
        if goal.kind == "seconds":
            told.append(_verdict(f"<= {goal.bound:g} s", mine, operator.le, goal.bound))
        elif goal.kind in sides:
            theirs = sides[goal.kind].median(goal.line)
            words = f">= {goal.bound:g}x stock" if goal.kind == "stock" else f"<= {goal.bound:g}x script"
            stock = goal.kind == "stock"
            ratio = _ratio(theirs, mine) if stock else _ratio(mine, theirs)
            told.append(_verdict(words, ratio, operator.ge if stock else operator.le, goal.bound))
    return "; ".join(told)


def _verdict(words: str, value: float, holds: Callable[[float, float], bool], bound: float) -> str:
    if math.isnan(value):
        return words
    return f"{words}: {'reached' if holds(value, bound) else 'missed'}"


def _growth_table(ones: Sequence[Sides]) -> list[Row]:
    rows = [next(iter(sides.values())).rows for sides in ones]
    head = ["side", "line", *(f"{n:,} rows" for n in rows)]
    head += [f"growth {a:,} to {b:,}" for a, b in itertools.pairwise(rows)]
    table = [[*head, "goal"]]
    for side in ones[0]:
        measured = [sides[side] for sides in ones if side in sides]
        if len(measured) < len(ones):
            continue
        for line in LINES:
            if line != EXTRA or side == "trainyard":
                table.append([_NAMES[side], line, *_growth_cells(measured, line)])
    return table


def _growth_cells(measured: list[Measurement], line: str) -> Iterator[str]:
    for one in measured:
        yield _figure(one.median(line) / one.rows * 1e6, ",.1f")
    verdicts = []
    for small, large in itertools.pairwise(measured):
        found = growth(small, large, line)
        yield _times(found)
        if small.side == "trainyard":
            goals = [g for g in cases.load(small.case).goals(small.rows) if (g.line, g.kind) == (line, "growth")]
            verdicts += [_verdict(f"<= {goal.bound:g}x", found, operator.le, goal.bound) for goal in goals]
    yield "; ".join(verdicts)


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "failed"
    middle = f"{statistics.median(seconds):,.2f}"
    return f"{middle} ({min(seconds):,.2f}..{max(seconds):,.2f})" if len(seconds) > 1 else middle


def _ratio(one: float, other: float) -> float:
    """NaN if the second is tiny: a ratio to a millisecond means nothing."""
    return one / other if other >= _LEAST_SECONDS else math.nan


def _times(ratio: float) -> str:
    if math.isnan(ratio):
        return ""
    return f"{ratio:,.0f}x" if ratio >= 19.5 else f"{ratio:.1f}x" if ratio >= 9.5 else f"{ratio:.2f}x"


def _figure(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def aligned(rows: list[Row]) -> str:
    """Rows as lines of text, the first of which is the head; columns that are empty below it are left out."""
    shown = _without_empty_columns(rows)
    widths = [max(len(row[i]) for row in shown) for i in range(len(shown[0]))]
    text = _left(shown[0])
    lines = []
    for row in shown:
        cells = enumerate(zip(row, widths, strict=True))
        lines.append("  ".join(cell.ljust(w) if i in text else cell.rjust(w) for i, (cell, w) in cells).rstrip())
    return "\n".join(lines)


def _piped(rows: list[Row]) -> str:
    shown = _without_empty_columns(rows)
    text = _left(shown[0])
    rule = "|" + "|".join("---" if i in text else "---:" for i in range(len(shown[0]))) + "|"
    lines = ["| " + " | ".join(f"**{c}**" if WHOLE in row and c else c for c in row) + " |" for row in shown]
    return "\n".join([lines[0], rule, *lines[1:]])


def _left(head: Row) -> set[int]:
    """Indices of the columns that hold words rather than figures."""
    return {i for i, name in enumerate(head) if name in ("", "side", "line", "goal")}


def _without_empty_columns(rows: list[Row]) -> list[Row]:
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    return [[row[i] for i in kept] for row in rows]
