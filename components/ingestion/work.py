"""Units of work under Beam's CombineGlobally, or without Beam in the same order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from components.errors import InputError
from components.ingestion.parts import Unit


@dataclasses.dataclass
class Done:
    """What came of the units so far.

    Attributes:
        results: by the unit's number.
        error: the first unit that met an error of the user's, and its line. It travels as data: of an exception that is
            raised in another process nothing is left but its traceback's text.
    """

    results: dict[int, Any] = dataclasses.field(default_factory=dict)
    error: tuple[int, str] | None = None

    def fail(self, number: int, message: str) -> None:
        """Keeps the error if it is the first in the order of the units."""
        if self.error is None or number < self.error[0]:
            self.error = number, message


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
        if done.error is not None and done.error[0] < unit.number:
            return done  # what comes after the first error is thrown away anyway
        try:
            done.results[unit.number] = self.do(unit)
        except InputError as error:
            done.fail(unit.number, str(error))
        return done

    def merge_accumulators(self, accumulators: Iterable[Done]) -> Done:
        merged = Done()
        for done in accumulators:
            if twice := merged.results.keys() & done.results.keys():
                raise RuntimeError(f"units of work were counted twice: {sorted(twice)}")
            merged.results |= done.results
            if done.error is not None:
                merged.fail(*done.error)
        return merged

    def extract_output(self, done: Done) -> Done:
        return done


def results_of(done: Done, units: int) -> list[Any]:
    """The results in the order of the units.

    Raises:
        InputError: the first one that a unit met.
        RuntimeError: a unit is missing.
    """
    if done.error is not None:
        raise InputError(done.error[1])
    if missing := set(range(units)) - done.results.keys():
        raise RuntimeError(f"{len(missing)} of {units} units of work were lost: {sorted(missing)[:10]}")
    return [done.results[number] for number in range(units)]
