"""What the checks of data cost: 60 expectations, statistics, schema, drift and pages against the same as plain expressions.

    python -m benchmarks.data_quality                       # a million rows of 18 columns, both sides, the least of three rounds
    python -m benchmarks.data_quality --rows 10000000 --rounds 1 --side gates

Both sides read the same Examples in Parquet, each in a fresh process, and have to come to the same verdicts: whether each
expectation holds, how many values do not, and which columns drifted. Goals: at most 3 times the plain side's time without
imports (both sides are part of a process that has imported already), and less than 8 GB at 10 million rows.
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
from spec import home

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
    parser.add_argument("--rounds", type=int, default=3, help="measure so often and take the least (3)")
    parser.add_argument("--side", action="append", choices=SIDES, help="measure this side; may be repeated")
    options = parser.parse_args(arguments)
    sides = options.side or SIDES
    with tempfile.TemporaryDirectory(prefix="trainyard-quality-") as scratch:
        data = pathlib.Path(scratch, "data")
        _say(f"{options.rows:,} rows: generating")
        command = [sys.executable, "-m", "benchmarks.data_quality.data", str(options.rows), str(data)]
        subprocess.run(command, env=_environment(), check=True)
        rounds: dict[str, list[tuple[Cost, dict[str, Any]]]] = {side: [] for side in sides}
        for number in range(options.rounds):  # round by round, so that a busy minute meets both
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
        cost = run(command, _environment(), folder, folder / "stdout.txt", limit)
    if cost.failure:
        raise SystemExit(f"{side}: {cost.failure}")
    found = json.loads(out.read_text(encoding="utf-8"))
    _say(f"{side}: {cost.seconds:.1f} s, {cost.peak_mb:,.0f} MiB, {found['seconds']}")
    return cost, found


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(home.ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}


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
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=False)))
        for line in lines
    )


def _least(rounds: Sequence[tuple[Cost, dict[str, Any]]], figure: Any) -> float:
    """What else the machine does only adds."""
    return float(min(figure(cost, found) for cost, found in rounds))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
