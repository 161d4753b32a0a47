"""Combines shards on any Beam runner and gets the result, or the error that the data caused."""

from __future__ import annotations

import contextlib
import pickle
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

# The accumulator, and the number and error of the first element that failed.
_Outcome = tuple[Any, tuple[int, ValueError] | None]


def combine_here(elements: Sequence[Any], combine: beam.CombineFn) -> Any:
    """Combines the elements in this process, in order."""
    combine.setup()
    try:
        accumulator = combine.create_accumulator()
        for element in elements:
            accumulator = combine.add_input(accumulator, element)
        return combine.extract_output(accumulator)
    finally:
        combine.teardown()


def combine_on(pipeline: beam.Pipeline, elements: Sequence[Any], combine: beam.CombineFn, target: str) -> None:
    """Adds steps to a pipeline that write the outcome to `target`, for `collect`."""
    _ = (
        pipeline
        | "Shards" >> beam.Create(list(enumerate(elements)), reshuffle=True)
        | "Combine" >> beam.CombineGlobally(_Refusing(combine))
        | "Keep" >> beam.Map(_keep, target)
    )


def collect(target: str) -> Any:
    """The result that a pipeline with `combine_on` has written; deletes the file.

    Raises:
        ValueError: as `combine` raised it for the first element that failed.
    """
    with FileSystems.open(target, compression_type="uncompressed") as file:
        result, refused = pickle.loads(file.read())  # noqa: S301 - our own, in the run's folder, of a name that nobody guesses
    with contextlib.suppress(OSError):
        FileSystems.delete([target])
    if refused is not None:
        raise refused[1]
    return result


def new_target(folder: str) -> str:
    """A new file name in a folder on any of Beam's file systems."""
    with contextlib.suppress(OSError):  # it exists already
        FileSystems.mkdirs(folder)
    return FileSystems.join(folder, f"combined-{uuid.uuid4().hex}.pickle")


class _Refusing(beam.CombineFn):
    """Wraps a CombineFn and returns its ValueErrors as part of the outcome.

    A ValueError means that the data is wrong. Raised in a worker, it would be retried in vain and come back as text; any other
    exception is raised, and the runner may retry.
    """

    def __init__(self, combine: beam.CombineFn) -> None:
        self._combine = combine
        self._setup: ValueError | None = None

    def setup(self) -> None:
        try:
            self._combine.setup()
        except ValueError as error:
            self._setup = error

    def teardown(self) -> None:
        self._combine.teardown()

    def create_accumulator(self) -> _Outcome:
        return self._combine.create_accumulator(), None

    def add_input(self, outcome: _Outcome, numbered: tuple[int, Any]) -> _Outcome:
        accumulator, refused = outcome
        number, element = numbered
        if refused is not None and refused[0] < number:
            return outcome
        if self._setup is not None:
            return accumulator, (number, self._setup)
        try:
            return self._combine.add_input(accumulator, element), refused
        except ValueError as error:  # the accumulator may be half updated, so start over
            return self._combine.create_accumulator(), (number, error)

    def merge_accumulators(self, outcomes: Iterable[_Outcome]) -> _Outcome:
        accumulators, refusals = zip(*outcomes, strict=True)
        first = min((refused for refused in refusals if refused is not None), key=lambda r: r[0], default=None)
        if first is not None:  # the result is not needed
            return self._combine.create_accumulator(), first
        return self._combine.merge_accumulators(list(accumulators)), None

    def compact(self, outcome: _Outcome) -> _Outcome:
        accumulator, refused = outcome
        return (accumulator, refused) if refused is not None else (self._combine.compact(accumulator), None)

    def extract_output(self, outcome: _Outcome) -> _Outcome:
        accumulator, refused = outcome
        if refused is not None:
            return None, refused
        try:
            return self._combine.extract_output(accumulator), None
        except ValueError as error:
            return None, (-1, error)


def _keep(outcome: _Outcome, target: str) -> None:
    # A retried bundle writes another part; only a complete file gets the name that is read.
    part = f"{target}.{uuid.uuid4().hex}.part"
    with FileSystems.create(part, compression_type="uncompressed") as file:
        file.write(pickle.dumps(outcome))
    FileSystems.rename([part], [target])
