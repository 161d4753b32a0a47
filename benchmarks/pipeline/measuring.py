"""Runs the sides, each in a fresh process, and reads what they cost."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks.pipeline import data
from components.errors import InputError
from pipelines import home

SIDES = ("stock", "trainyard", "floor")
STAGES = ("ingestion", "statistics", "validation", "transform", "training", "evaluation")
# Stage of each node; what is not named here is a gate or report that only Trainyard has.
_STAGE_OF = {
    "CsvExampleGen": "ingestion",
    "ColumnarExampleGen": "ingestion",
    "read": "ingestion",
    "ImportSchemaGen": "validation",
    "SchemaImporter": "validation",
    "StatisticsGen": "statistics",
    "ExampleValidator": "validation",
    "Transform": "transform",
    "Trainer": "training",
    "train": "training",
    "export": "training",
    "Evaluator": "evaluation",
    "evaluate": "evaluation",
}


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One side on one size, medians over the rounds.

    Attributes:
        side: stock, trainyard or floor.
        rows: of the data.
        stages: seconds by stage.
        extra: seconds in nodes that the other sides do not have.
        process: seconds from start to exit of the process, imports included.
        peak_mb: the largest resident set of the process or a child of it.
        auc: what its model scored, on `eval_rows` rows.
        eval_rows: see there.
        load: the machine's load average of one minute before each round.
    """

    side: str
    rows: int
    stages: dict[str, float]
    extra: float
    process: float
    peak_mb: float
    auc: float
    eval_rows: int
    load: tuple[float, ...]


def measure(sizes: Sequence[int], rounds: int, sides: Sequence[str]) -> list[Measurement]:
    """Measures every side on every size; within a round the sides follow one another, so that all meet the same machine."""
    results = []
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        for rows in sizes:
            source = pathlib.Path(folder) / str(rows) / "data" / "trips.csv"
            _say(f"{rows:,} rows: generating")
            data.generate(rows, source)
            found: dict[str, list[Measurement]] = {side: [] for side in sides}
            for number in range(rounds):
                for side in sides:
                    root = source.parents[1] / f"{side}-{number}"
                    found[side].append(_run(side, rows, source, root))
                    one = found[side][-1]
                    _say(
                        f"{rows:,} rows: {side} {one.process:.1f} s, {one.peak_mb:,.0f} MiB (load before: {one.load[0]:.1f})"
                    )
            results += [_median(ones) for ones in found.values()]
    return results


def _run(side: str, rows: int, source: pathlib.Path, root: pathlib.Path) -> Measurement:
    data.use_case(root)
    out = root / "result.json"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(home.ROOT), os.environ.get("PYTHONPATH")))),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TMPDIR": str(root),
    }
    python = [sys.executable, "-m"]
    if side == "trainyard":
        landing = root / "landing" / "bench" / "span-1"
        landing.mkdir(parents=True)
        (landing / source.name).hardlink_to(source)
        environment |= {
            "TRAINYARD_HOME": str(root / "home"),
            "TRAINYARD_DATA": str(root / "landing"),
            "TRAINYARD_STORE": str(root / "models"),
            "TRAINYARD_WORKLOADS": str(root / "workloads"),
            "TRAINYARD_SCHEMAS": str(root / "schemas"),
        }
        command = [*python, "pipelines.cli", "run", "bench", "--json"]
    elif side == "stock":
        command = [*python, "benchmarks.pipeline.stock", str(source.parent), str(root), str(out), str(rows)]
    else:
        command = [*python, "benchmarks.pipeline.floor", str(source), str(root), str(out)]
    load = os.getloadavg()[0]
    log = root / "log.txt"
    started = time.monotonic()
    with log.open("w") as err, (out if side == "trainyard" else log).open("a") as stdout:
        process = subprocess.Popen(command, env=environment, stdout=stdout, stderr=err, cwd=root)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    if process.returncode:
        raise InputError(f"{side} ended with {process.returncode}: {' '.join(log.read_text()[-600:].split())}")
    nodes, auc, eval_rows = _read(side, out)
    stages = dict.fromkeys(STAGES, 0.0)
    extra = 0.0
    for node, spent in nodes.items():
        if (stage := _STAGE_OF.get(node, node)) in stages:
            stages[stage] += spent
        else:
            extra += spent
    return Measurement(side, rows, stages, extra, seconds, usage.ru_maxrss / 1024, auc, eval_rows, (load,))


def _read(side: str, out: pathlib.Path) -> tuple[dict[str, float], float, int]:
    result = json.loads(out.read_text())
    if side != "trainyard":
        return result["seconds"], result["auc"], result["eval_rows"]
    nodes = {c["id"]: c["seconds"] for c in result["components"]}
    rows = {c["id"]: c["rows_out"] for c in result["components"]}
    return nodes, result["metrics"]["auc"], rows["Evaluator"]


def _median(ones: list[Measurement]) -> Measurement:
    return dataclasses.replace(
        ones[0],
        stages={stage: statistics.median(one.stages[stage] for one in ones) for stage in STAGES},
        extra=statistics.median(one.extra for one in ones),
        process=statistics.median(one.process for one in ones),
        peak_mb=statistics.median(one.peak_mb for one in ones),
        load=tuple(one.load[0] for one in ones),
    )


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
