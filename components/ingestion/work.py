"""Units of work under Beam's CombineGlobally, or without Beam in the same order, and the folder that they write into."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from components.ingestion.parts import Unit

_STAGING = ".staging-"  # no reader looks into hidden folders


@dataclasses.dataclass
class Done:
    """What came of the units so far.

    Attributes:
        results: by the unit's number.
    """

    results: dict[int, Any] = dataclasses.field(default_factory=dict)


class Work(beam.CombineFn):
    """Does units of work, on any worker and in any order. Subclasses define `do`."""

    def do(self, unit: Unit) -> Any:
        """Does one unit and returns what is small enough to travel: names and counts, no rows.

        Raises:
            InputError: the unit's files do not fit; the first one in the order of the units ends the work.
        """
        raise NotImplementedError

    def create_accumulator(self) -> Done:
        return Done()

    def add_input(self, done: Done, unit: Unit) -> Done:
        done.results[unit.number] = self.do(unit)
        return done

    def merge_accumulators(self, accumulators: Iterable[Done]) -> Done:
        merged = Done()
        for done in accumulators:
            if twice := merged.results.keys() & done.results.keys():
                raise RuntimeError(f"units of work were counted twice: {sorted(twice)}")
            merged.results |= done.results
        return merged

    def extract_output(self, done: Done) -> Done:
        return done


@contextlib.contextmanager
def staging(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder in `target` for what units write, until it is whole and moves; gone afterwards."""
    for leftover in target.glob(f"{_STAGING}*"):  # of an attempt that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    folder = target / f"{_STAGING}{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def results_of(done: Done, units: int) -> list[Any]:
    """The results in the order of the units.

    Raises:
        RuntimeError: a unit is missing.
    """
    if missing := set(range(units)) - done.results.keys():
        raise RuntimeError(f"{len(missing)} of {units} units of work were lost: {sorted(missing)[:10]}")
    return [done.results[number] for number in range(units)]
