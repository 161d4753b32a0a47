"""Units of work, run by Beam's CombineGlobally or in order without Beam, and the folder that they write into."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from components.ingestion.parts import Unit

_STAGING = ".staging-"  # readers skip hidden folders


Results = dict[int, Any]  # by the unit's number


class Work(beam.CombineFn):
    """Does units of work, on any worker and in any order. Subclasses define `do`."""

    def do(self, unit: Unit) -> Any:
        """Does one unit and returns something small: names and counts, not rows.

        Raises:
            InputError: the unit's files do not fit; the first one in the order of the units ends the work.
        """
        raise NotImplementedError

    def create_accumulator(self) -> Results:
        return {}

    def add_input(self, results: Results, unit: Unit) -> Results:
        results[unit.number] = self.do(unit)
        return results

    def merge_accumulators(self, accumulators: Iterable[Results]) -> Results:
        merged: Results = {}
        for results in accumulators:
            if twice := merged.keys() & results.keys():
                raise RuntimeError(f"units of work were counted twice: {sorted(twice)}")
            merged |= results
        return merged

    def extract_output(self, results: Results) -> Results:
        return results


@contextlib.contextmanager
def staging(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder in `target` that units write into before their files are moved."""
    for leftover in target.glob(f"{_STAGING}*"):  # left by an attempt that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    folder = target / f"{_STAGING}{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_order(results: Results, units: int) -> list[Any]:
    """The results in the order of the units.

    Raises:
        RuntimeError: a unit is missing.
    """
    if missing := set(range(units)) - results.keys():
        raise RuntimeError(f"{len(missing)} of {units} units of work were lost: {sorted(missing)[:10]}")
    return [results[number] for number in range(units)]
