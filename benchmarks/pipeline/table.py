"""Measurements as a table for people and as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence

from benchmarks.pipeline.measuring import STAGES, Measurement

_BARS = {"ingestion": 15.0, "statistics": 5.0, "transform": 5.0, "evaluation": 15.0, "whole process": 6.0}


def to_json(results: Sequence[Measurement]) -> str:
    """All figures, seconds unrounded."""
    return json.dumps({"cpus": os.cpu_count(), "results": [dataclasses.asdict(one) for one in results]}, indent=1)


def to_text(results: Sequence[Measurement]) -> str:
    """One table a size; ratios are stock's time through Trainyard's, and Trainyard's through the script's."""
    parts = []
    for rows in dict.fromkeys(one.rows for one in results):
        parts.append("\n".join(_table(rows, {one.side: one for one in results if one.rows == rows})))
    return "\n\n".join(parts)


def _table(rows: int, sides: dict[str, Measurement]) -> list[str]:
    lines = [f"{rows:,} rows, 18 columns, {os.cpu_count()} cores; seconds"]
    names = list(sides)
    lines.append(
        f"{'':<22}" + "".join(f"{name:>12}" for name in names) + f"{'stock/ours':>12}{'bar':>6}{'ours/floor':>12}"
    )
    for stage in STAGES:
        lines.append(_line(stage, {name: one.stages[stage] for name, one in sides.items()}, "{:.2f}"))
    lines.append(_line("only in Trainyard", {name: one.extra for name, one in sides.items()}, "{:.2f}", ratios=False))
    rest = {name: one.process - sum(one.stages.values()) - one.extra for name, one in sides.items()}
    lines.append(_line("imports and the rest", rest, "{:.2f}"))
    lines.append(_line("whole process", {name: one.process for name, one in sides.items()}, "{:.2f}"))
    lines.append(_line("rows/s", {name: rows / one.process for name, one in sides.items()}, "{:,.0f}", ratios=False))
    lines.append(_line("peak memory, MiB", {name: one.peak_mb for name, one in sides.items()}, "{:,.0f}"))
    lines.append(_line("AUC of the model", {name: one.auc for name, one in sides.items()}, "{:.4f}", ratios=False))
    lines.append(_line("eval rows", {name: one.eval_rows for name, one in sides.items()}, "{:,.0f}", ratios=False))
    loads = {name: sum(one.load) / len(one.load) for name, one in sides.items()}
    lines.append(_line("load before", loads, "{:.1f}", ratios=False))
    return lines


def _line(title: str, values: dict[str, float], form: str, ratios: bool = True) -> str:
    text = f"{title:<22}" + "".join(f"{form.format(value):>12}" for value in values.values())
    if not ratios:
        return text
    ours = values.get("trainyard", 0.0)
    faster = f"{values['stock'] / ours:.1f}x" if ours and "stock" in values else ""
    bar = f"{_BARS[title]:.0f}x" if title in _BARS and faster else ""
    slower = f"{ours / values['floor']:.1f}x" if ours and values.get("floor") else ""
    return f"{text}{faster:>12}{bar:>6}{slower:>12}".rstrip()
