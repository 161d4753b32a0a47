"""Runs the sides, each in a fresh process, and measures what they cost."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from benchmarks.pipeline import case as cases
from benchmarks.pipeline.machine import this_machine
from benchmarks.pipeline.measurement import EXTRA, REST, STAGES, WHOLE, Measurement, Results, Round
from benchmarks.pipeline.memory_limit import memory_limit
from benchmarks.pipeline.process import Cost, run
from benchmarks.pipeline.running import environment, say
from components.progress import Beat
from spec.errors import InputError

SIDES = ("stock", "trainyard", "floor")
# The stage of each node; nodes not listed are gates and reports that only Trainyard has.
_STAGE_OF = {
    "CsvExampleGen": "ingestion",
    "ImportExampleGen": "ingestion",
    "ColumnarExampleGen": "ingestion",
    "ImportSchemaGen": "validation",
    "SchemaImporter": "validation",
    "StatisticsGen": "statistics",
    "ExampleValidator": "validation",
    "Transform": "transform",
    "Trainer": "training",
    "Evaluator": "evaluation",
}


def refuse_case(name: str | None) -> None:
    """Raises InputError if a case is named although files are to be shown."""
    if name:
        raise InputError(f"--from shows what was measured; leave out the case. Received: {name!r}.")


def measure(
    name: str | None, rows: Sequence[int] | None, rounds: int, only: Sequence[str], memory_mb: int | None = None
) -> Iterator[Results]:
    """Measures a case.

    Args:
        rows: the sizes; None: the case's default.
        only: some of SIDES; empty: all.
        memory_mb: limit of each side's process tree, MiB; None: none.

    Yields:
        All results so far, after each run of a side.

    Raises:
        InputError: there is no such case, or its number of rows is fixed.
    """
    if name is None:
        raise InputError(f"bench what? Name one of {', '.join(cases.names())}, or show a file by --from.")
    case = cases.load(name)
    if rows and case.fixed_rows and list(rows) != [case.fixed_rows]:
        raise InputError(f"the data of {name} has {case.fixed_rows:,} rows; leave --rows out. Received: {rows}.")
    sizes = rows or [case.fixed_rows or case.default_rows]
    sides = [side for side in SIDES if side in only or not only]
    machine, now = this_machine(), datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    for found in _measurements(name, sizes, rounds, sides, memory_mb):
        yield Results(machine, now, tuple(found))


def _measurements(
    name: str, sizes: Sequence[int], rounds: int, sides: Sequence[str], memory_mb: int | None
) -> Iterator[list[Measurement]]:
    finished: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as scratch:
        for rows in sizes:
            folder = pathlib.Path(scratch, str(rows))
            found: list[Measurement] = []
            for found in _one_size(name, rows, rounds, sides, memory_mb, folder):
                yield finished + found
            finished += found
            shutil.rmtree(folder)


def _one_size(
    name: str, rows: int, rounds: int, sides: Sequence[str], memory_mb: int | None, folder: pathlib.Path
) -> Iterator[list[Measurement]]:
    """Runs the sides in turn within each round, so that all see the same machine. A side that fails is not repeated."""
    case, data = cases.load(name), folder / "data"
    _generate(name, rows, data)
    data_mb = sum(path.stat().st_size for path in data.iterdir()) / 1024**2
    found = {
        side: Measurement(name, case.title, case.metric, side, rows, case.width, data_mb, memory_mb, ())
        for side in sides
    }
    for number in range(rounds):
        for side, measured in found.items():
            if measured.failure:
                continue
            one = _run(name, side, rows, data, folder / f"{side}-{number}", memory_mb)
            found[side] = dataclasses.replace(measured, rounds=(*measured.rounds, one))
            say(f"{name}, {rows:,} rows: {side}{_summary(one)}")
            yield [each for each in found.values() if each.rounds]


def _generate(name: str, rows: int, folder: pathlib.Path) -> None:
    """Generates the data in another process, so that this one stays small while others are measured."""
    say(f"{name}, {rows:,} rows: generating")
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.pipeline.case", name, str(rows), str(folder)]
    with _waited_for(f"{name}, {rows:,} rows: generating"):
        done = subprocess.run(command, env=environment(), stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise InputError(f"the data of {name} could not be generated: {' '.join(done.stderr[-600:].split())}")


def _run(name: str, side: str, rows: int, data: pathlib.Path, root: pathlib.Path, memory_mb: int | None) -> Round:
    cases.lay_out(name, root)
    out = root / "result.json"
    variables = environment() | {"TMPDIR": str(root)}
    python = [sys.executable, "-m"]
    if side == "trainyard":
        landing = root / "landing" / "bench" / "span-1"
        landing.mkdir(parents=True)
        for path in data.iterdir():
            (landing / path.name).hardlink_to(path)
        variables |= {
            "TRAINYARD_HOME": str(root / "home"),
            "TRAINYARD_DATA": str(root / "landing"),
            "TRAINYARD_STORE": str(root / "models"),
            "TRAINYARD_WORKLOADS": str(root / "workloads"),
            "TRAINYARD_SCHEMAS": str(root / "schemas"),
        }
        command = [*python, "cli.main", "run", "bench", "--json"]
    else:
        command = [*python, f"benchmarks.pipeline.{side}", name, str(data), str(root), str(out), str(rows)]
    load = os.getloadavg()[0]
    with memory_limit(memory_mb) as limit, _waited_for(f"{name}, {rows:,} rows: {side}"):
        cost = run(command, variables, root, out if side == "trainyard" else root / "log.txt", limit)
    one = _round(side, cost, out, load, limit.kind, cases.load(name).metric)
    if one.failure:
        say((root / "log.txt").read_text(errors="replace")[-4000:])
    shutil.rmtree(root)  # the artifacts of ten rounds would fill the disk
    return one


def _round(side: str, cost: Cost, out: pathlib.Path, load: float, limit: str, metric: str) -> Round:
    whole = {WHOLE: cost.seconds}
    if cost.failure:
        return Round(whole, cost.cpu_seconds, cost.peak_mb, cost.largest_mb, None, 0, load, limit, cost.failure)
    nodes, quality, eval_rows = _read(side, out, metric)
    seconds = dict.fromkeys((*STAGES, EXTRA), 0.0)
    for node, spent in nodes.items():
        stage = _STAGE_OF.get(node, node)
        seconds[stage if stage in STAGES else EXTRA] += spent
    seconds |= {REST: cost.seconds - sum(seconds.values())} | whole
    return Round(seconds, cost.cpu_seconds, cost.peak_mb, cost.largest_mb, quality, eval_rows, load, limit)


def _read(side: str, out: pathlib.Path, metric: str) -> tuple[dict[str, float], float, int]:
    result = json.loads(out.read_text())
    if side != "trainyard":
        return result["seconds"], result["quality"], result["eval_rows"]
    nodes = {c["id"]: c["seconds"] for c in result["components"]}
    rows = {c["id"]: c["rows_out"] for c in result["components"]}
    return nodes, result["metrics"][metric], rows["Evaluator"]


def _summary(one: Round) -> str:
    if one.failure:
        return f" failed: {one.failure}"
    return f" {one.seconds[WHOLE]:.1f} s, {one.peak_mb:,.0f} MiB (load before: {one.load:.1f})"


@contextlib.contextmanager
def _waited_for(what: str) -> Iterator[None]:
    """Reports every now and then that a process is still running, from a thread that sleeps in between."""
    started = time.monotonic()
    beat = Beat(lambda: say(f"{what}, {time.monotonic() - started:.0f} s so far"))
    try:
        yield
    finally:
        beat.stop()
