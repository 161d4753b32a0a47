"""Measurements, and their JSON files."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.pipeline.machine import Machine
from spec.errors import InputError

STAGES = ("ingestion", "statistics", "validation", "transform", "training", "evaluation")
EXTRA, REST, WHOLE = "only in Trainyard", "imports and the rest", "whole process"
LINES = (*STAGES, EXTRA, REST, WHOLE)


@dataclasses.dataclass(frozen=True)
class Round:
    """One run of one side.

    Attributes:
        seconds: by line of the table: the stages, nodes that the other sides do not have, the rest, the whole process.
        cpu_seconds: user and system time.
        peak_mb: peak memory of the process and its children together, MiB.
        largest_mb: peak memory of the largest single process, MiB.
        quality: the model's score in the case's metric, on `eval_rows` rows.
        eval_rows: the number of rows evaluated.
        load: the machine's one-minute load average before the run.
        limit: how memory was limited: none, cgroup v1, cgroup v2 or watched.
        failure: why there are no figures; None if there are.
    """

    seconds: dict[str, float]
    cpu_seconds: float
    peak_mb: float
    largest_mb: float
    quality: float | None
    eval_rows: int
    load: float
    limit: str = "none"
    failure: str | None = None


@dataclasses.dataclass(frozen=True)
class Measurement:
    """All rounds of one side of a case at one size.

    Attributes:
        case: its name.
        title: the data in a few words.
        metric: of the model's quality.
        side: stock, trainyard or floor.
        rows: of the data.
        columns: of the data.
        data_mb: of the files, MiB.
        memory_mb: memory limit, MiB; None: no limit.
        rounds: in the order in which they ran.
    """

    case: str
    title: str
    metric: str
    side: str
    rows: int
    columns: int
    data_mb: float
    memory_mb: int | None
    rounds: tuple[Round, ...]

    @property
    def failure(self) -> str | None:
        """Why a round has no figures; None if all have some."""
        return next((one.failure for one in self.rounds if one.failure), None)

    def seconds(self, line: str) -> list[float]:
        """Seconds of a line of the table in each round; empty if a round failed."""
        return [] if self.failure else [one.seconds[line] for one in self.rounds]

    def median(self, line: str) -> float:
        """Median seconds of a line of the table; NaN if a round failed."""
        return statistics.median(self.seconds(line) or [math.nan])

    def middle(self, field: str) -> float:
        """Median of another field of the rounds, e.g. peak_mb."""
        return math.nan if self.failure else statistics.median(getattr(one, field) for one in self.rounds)


@dataclasses.dataclass(frozen=True)
class Results:
    """The results of one run of the benchmark."""

    machine: Machine
    measured_at: str
    measurements: tuple[Measurement, ...]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"


def read(paths: Sequence[pathlib.Path]) -> Results:
    """Reads the results that `to_json` wrote, from one or several files.

    Raises:
        InputError: a file does not exist or is something else, or they come from more than one machine or revision.
    """
    first, *others = map(_read, paths)
    for path, other in zip(paths[1:], others, strict=True):
        if other.machine != first.machine:
            raise InputError(
                f"{path}: was measured on another machine or revision than {paths[0]}. Show them apart. "
                f"Received: {other.machine}; {first.machine}."
            )
    return dataclasses.replace(first, measurements=sum((other.measurements for other in others), first.measurements))


def _read(path: pathlib.Path) -> Results:
    try:
        raw = json.loads(path.read_text())
        ones = tuple(_measurement(one) for one in raw["measurements"])
        return Results(Machine(**raw["machine"]), raw["measured_at"], ones)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. `trainyard bench CASE --json FILE` writes one.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: expected what `trainyard bench --json` writes. Received: {type(error).__name__}: {error}. "
            "Measure again if an older version wrote it."
        ) from None


def _measurement(raw: dict[str, Any]) -> Measurement:
    return Measurement(**{**raw, "rounds": tuple(Round(**one) for one in raw["rounds"])})


def sizes(measurements: Sequence[Measurement]) -> dict[tuple[str, int], dict[str, Measurement]]:
    """Side -> measurement, for each case and size, in the order in which they were measured."""
    found: dict[tuple[str, int], dict[str, Measurement]] = {}
    for one in measurements:
        found.setdefault((one.case, one.rows), {})[one.side] = one
    return found


def growing(measurements: Sequence[Measurement]) -> dict[str, list[dict[str, Measurement]]]:
    """The sides at each size, smallest first, of the cases that were measured at several sizes."""
    found: dict[str, list[dict[str, Measurement]]] = {}
    for (case, _), sides in sorted(sizes(measurements).items()):
        found.setdefault(case, []).append(sides)
    return {case: ones for case, ones in found.items() if len(ones) > 1}
