"""What checking data costs: 60 expectations, statistics, schema, drift and pages, compared with plain expressions.

    python -m benchmarks.data_quality                       # a million rows of 18 columns, both sides, the lowest of three rounds
    python -m benchmarks.data_quality --rows 10000000 --rounds 1 --side gates

Both sides read the same Examples in Parquet, each in a fresh process, and must reach the same verdicts: whether each expectation
holds, how many values do not meet it, and which columns drifted. Goals: at most 3 times the plain side's time without imports
(in practice both run in a process that has already imported everything), and less than 8 GB with 10 million rows.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from benchmarks.pipeline.machine import this_machine
from benchmarks.pipeline.memory_limit import memory_limit
from benchmarks.pipeline.process import Cost, run
from benchmarks.pipeline.table import aligned
from benchmarks.running import environment, say

SIDES = ("gates", "plain")
STAGES = ("statistics", "schema", "expectations", "drift", "pages")
MOST_RATIO, MOST_GB = 3.0, 8.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data_quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of both splits together (1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure; the lowest counts (3)")
    parser.add_argument("--side", action="append", choices=SIDES, help="measure this side; may be repeated")
    options = parser.parse_args(arguments)
    sides = options.side or SIDES
    with tempfile.TemporaryDirectory(prefix="trainyard-quality-") as scratch:
        data = pathlib.Path(scratch, "data")
        say(f"{options.rows:,} rows: generating")
        command = [sys.executable, "-m", "benchmarks.data_quality.data", str(options.rows), str(data)]
        subprocess.run(command, env=environment(), check=True)
        rounds: dict[str, list[tuple[Cost, dict[str, Any]]]] = {side: [] for side in sides}
        for number in range(options.rounds):  # round by round, so that a busy minute affects both
            for side in sides:
                rounds[side].append(_measure(side, data, pathlib.Path(scratch, f"{side}-{number}")))
    _insist_on_the_same_verdicts([found[-1][1] for found in rounds.values()])
    print(f"{options.rows:,} rows x 18 columns, 60 expectations; {this_machine()}; load {os.getloadavg()[0]:.1f}")
    print(_table(rounds))
    return 0


def _measure(side: str, data: pathlib.Path, folder: pathlib.Path) -> tuple[Cost, dict[str, Any]]:
    folder.mkdir()
    out = folder / "result.json"
    command = [sys.executable, "-m", f"benchmarks.data_quality.{side}", str(data), str(out)]
    with memory_limit(None) as limit:
        cost = run(command, environment(), folder, folder / "stdout.txt", limit)
    if cost.failure:
        raise SystemExit(f"{side}: {cost.failure}")
    found = json.loads(out.read_text(encoding="utf-8"))
    say(f"{side}: {cost.seconds:.1f} s, {cost.peak_mb:,.0f} MiB, {found['seconds']}")
    return cost, found


def _insist_on_the_same_verdicts(found: Sequence[dict[str, Any]]) -> None:
    if len(found) < 2:
        return
    ours, plain = found
    differ = {
        name: (one, plain["checks"].get(name))
        for name, one in ours["checks"].items()
        if one != plain["checks"].get(name)
    }
    if differ or ours["drifted"] != plain["drifted"]:
        raise SystemExit(f"the sides disagree: {differ or (ours['drifted'], plain['drifted'])}")


def _table(rounds: dict[str, list[tuple[Cost, dict[str, Any]]]]) -> str:
    sides = list(rounds)
    lines = [["", *sides, *(["ratio"] if len(sides) == 2 else [])]]

    def add(name: str, values: Sequence[float], goal: str = "") -> None:
        ratio = [f"{values[0] / values[1]:.2f}{goal}"] if len(values) == 2 and values[1] else [""] * (len(sides) - 1)
        lines.append([name, *(f"{value:,.2f}" for value in values), *ratio])

    for stage in STAGES:
        add(stage, [_least(rounds[side], lambda c, f, s=stage: f["seconds"].get(s, 0.0)) for side in sides])
    work = [_least(rounds[side], lambda c, f: sum(f["seconds"].get(s, 0.0) for s in STAGES)) for side in sides]
    add("all checks, s", work, f" (goal <= {MOST_RATIO:g})")
    add("whole process, s", [_least(rounds[side], lambda c, f: c.seconds) for side in sides])
    add("CPU, s", [_least(rounds[side], lambda c, f: c.cpu_seconds) for side in sides])
    add(
        f"peak memory, GB (goal < {MOST_GB:g})",
        [_least(rounds[side], lambda c, f: c.peak_mb * 1024**2 / 1e9) for side in sides],
    )
    return aligned(lines)


def _least(rounds: Sequence[tuple[Cost, dict[str, Any]]], figure: Any) -> float:
    """The lowest figure: other load on the machine can only add to it."""
    return float(min(figure(cost, found) for cost, found in rounds))


if __name__ == "__main__":
    sys.exit(main())
