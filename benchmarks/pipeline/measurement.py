"""What was measured, and its way to a JSON file and back."""

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
        cpu_seconds: user and system.
        peak_mb: most memory of the process and its children at one time, MiB.
        largest_mb: most memory of one process of them, MiB.
        quality: what its model scored in the case's metric, on `eval_rows` rows.
        eval_rows: see there.
        load: the machine's load average of one minute before it.
        limit: how memory was limited: none, cgroup v1, cgroup v2 or watched.
        failure: why there are no figures; None: there are.
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
    """One side of a case on one size, all rounds.

    Attributes:
        case: its name.
        title: the data in a few words.
        metric: of the model's quality.
        side: stock, trainyard or floor.
        rows: of the data.
        columns: of the data.
        data_mb: of the files, MiB.
        memory_mb: the limit that it ran under, MiB; None: none.
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
        """Why a round has no figures; None if all have."""
        return next((one.failure for one in self.rounds if one.failure), None)

    def seconds(self, line: str) -> list[float]:
        """Of a line of the table, a round each; empty where a round failed."""
        return [] if self.failure else [one.seconds[line] for one in self.rounds]

    def median(self, line: str) -> float:
        """Seconds of a line of the table; NaN where a round failed."""
        return statistics.median(self.seconds(line) or [math.nan])

    def middle(self, field: str) -> float:
        """Median of another field of the rounds, e.g. peak_mb."""
        return math.nan if self.failure else statistics.median(getattr(one, field) for one in self.rounds)


@dataclasses.dataclass(frozen=True)
class Results:
    """All of one run of the benchmark."""

    machine: Machine
    measured_at: str
    measurements: tuple[Measurement, ...]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"


def read(paths: Sequence[pathlib.Path]) -> Results:
    """Results as `to_json` wrote them, of one or several files together.

    Raises:
        InputError: a file is not there or is something else, or they come from more than one machine or revision.
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
    """The sides by name, for each case and size in the order of measuring."""
    found: dict[tuple[str, int], dict[str, Measurement]] = {}
    for one in measurements:
        found.setdefault((one.case, one.rows), {})[one.side] = one
    return found
