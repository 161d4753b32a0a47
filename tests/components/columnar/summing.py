"""A sum over shards for the executors' tests. Worker processes import this module, so it imports no TFX, which takes seconds."""

from __future__ import annotations

import os
import pathlib
import time

import apache_beam as beam

from spec.errors import InputError


class Sum(beam.CombineFn):
    """Adds numbers up; `traces` gets a file for each call that a test wants to see."""

    def __init__(self, traces: pathlib.Path, bad: tuple[int, ...] = (), seconds: float = 0.0) -> None:
        self.traces, self.bad, self.seconds = traces, bad, seconds
        self.ready = False

    def trace(self, what: str) -> None:
        (self.traces / f"{what}-{os.getpid()}-{time.time_ns()}").touch()

    def setup(self) -> None:
        self.ready = True
        self.trace("setup")

    def teardown(self) -> None:
        self.trace("teardown")

    def create_accumulator(self) -> tuple[int, int]:
        return 0, 0

    def add_input(self, accumulator, element):
        assert self.ready
        self.trace("add")
        time.sleep(self.seconds)
        if element in self.bad:
            raise InputError(f"shard {element}: is not a number that anyone likes. Received: [{element}].")
        return accumulator[0] + element, accumulator[1] + 1

    def merge_accumulators(self, accumulators):
        sums, counts = zip(*accumulators, strict=True)
        return sum(sums), sum(counts)

    def extract_output(self, accumulator):
        return accumulator


def processes(traces: pathlib.Path, what: str) -> set[int]:
    return {int(path.name.split("-")[1]) for path in traces.glob(f"{what}-*")}
