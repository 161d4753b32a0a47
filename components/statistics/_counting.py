"""Counts how often each value of a column occurs, exactly and in bounded memory."""

from __future__ import annotations

import bisect
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Counts are merged when they have doubled, so that each is merged a constant number of times, and not below this size.
_MIN_PENDING = 65_536
# Values sampled from each run, to cut all runs into parts of about equal size.
_SAMPLES = 512

_LARGEST_FIRST = [("count", "descending"), ("value", "descending")]


class ValueCounter:
    """Counts the values of one column.

    Counts stay in memory until `spill` writes them to a file, sorted by value. The result is computed from all such files, one
    range of values at a time, so that about one file's worth is in memory.

    Args:
        stem: where files go: `<stem>-<number>.arrow`, in a folder that exists. Whoever made the folder removes it.

    Example:
        counter = ValueCounter(folder / "company")
        counter.add(pa.array([b"a", b"b", b"a"]))
        counter.unique_and_top(1)  # (2, [(b"a", 2)])
    """

    def __init__(self, stem: pathlib.Path) -> None:
        self._stem = stem
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._settled_rows = 0
        self._spilled_bytes = 0
        self._largest_spill = 0
        self._runs: list[pathlib.Path] = []
        self.nbytes = 0

    def add(self, values: pa.Array) -> None:
        """Counts an array of values, without nulls."""
        counted = values.drop_null().value_counts()
        if len(counted):
            self._keep(pa.table({"value": counted.field("values"), "count": counted.field("counts")}))
        if self._pending_rows > max(_MIN_PENDING, 2 * self._settled_rows):
            self._settle()

    def settle(self) -> None:
        """Merges the counts in memory; `nbytes` is then what the distinct values need."""
        if len(self._pending) > 1:
            self._settle()

    def spill(self) -> None:
        """Moves the counts in memory to a file."""
        self.settle()
        if not self._pending:
            return
        counts = self._pending[0].sort_by("value").combine_chunks()
        path = self._stem.with_name(f"{self._stem.name}-{len(self._runs)}.arrow")
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, counts.schema) as writer:
            writer.write_table(counts)
        self._runs.append(path)
        self._spilled_bytes += counts.nbytes
        self._largest_spill = max(self._largest_spill, counts.nbytes)
        self._pending, self._pending_rows, self._settled_rows, self.nbytes = [], 0, 0, 0

    def unique_and_top(self, size: int) -> tuple[int, list[tuple[Any, int]]]:
        """How many different values there are, and the `size` most frequent, each with its count.

        Of values with equal counts the larger comes first, as in TFDV.
        """
        if not self._runs:
            self.settle()
            return _ranked(self._pending, size)
        self.spill()
        runs = [pa.ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks() for path in self._runs]
        unique, top = 0, pa.table({"value": runs[0]["value"][:0], "count": runs[0]["count"][:0]})
        for part in _ranges(runs, parts=math.ceil(self._spilled_bytes / self._largest_spill)):
            counts = _added_up(part)
            unique += counts.num_rows
            top = _largest([top, counts], size)
        return unique, _pairs(top)

    def _keep(self, counts: pa.Table) -> None:
        self._pending.append(counts)
        self._pending_rows += counts.num_rows
        self.nbytes += counts.nbytes

    def _settle(self) -> None:
        counts = _added_up(self._pending)
        self._pending, self._pending_rows, self.nbytes = [], 0, 0
        self._keep(counts)
        self._settled_rows = counts.num_rows


def _added_up(counts: list[pa.Table]) -> pa.Table:
    # One thread: more of Arrow's threads mostly wait for Python's lock, and their order varies.
    added = pa.concat_tables(counts).group_by("value", use_threads=False).aggregate([("count", "sum")])
    return pa.table({"value": added["value"], "count": added["count_sum"]})


def _largest(counts: list[pa.Table], size: int) -> pa.Table:
    together = pa.concat_tables(counts)
    return together.take(pc.select_k_unstable(together, size, _LARGEST_FIRST))


def _pairs(counts: pa.Table) -> list[tuple[Any, int]]:
    return list(zip(counts["value"].to_pylist(), counts["count"].to_pylist(), strict=True))


def _ranked(settled: list[pa.Table], size: int) -> tuple[int, list[tuple[Any, int]]]:
    return (settled[0].num_rows, _pairs(_largest(settled, size))) if settled else (0, [])


def _ranges(runs: list[pa.Table], parts: int) -> Iterator[list[pa.Table]]:
    """Cuts sorted runs at the same values, and yields the matching slices of all runs."""
    # From every run, not just the first: where ids grow with time, each run has its own range.
    samples = sorted(value for run in runs for value in run["value"][:: max(1, run.num_rows // _SAMPLES)].to_pylist())
    bounds = [samples[len(samples) * part // parts] for part in range(1, parts)]
    starts = [0] * len(runs)
    for bound in [*bounds, None]:
        ends = [run.num_rows if bound is None else _first_from(run["value"].chunk(0), bound) for run in runs]
        slices = [run.slice(start, end - start) for run, start, end in zip(runs, starts, ends, strict=True)]
        if any(part.num_rows for part in slices):
            yield slices
        starts = ends


def _first_from(values: pa.Array, bound: Any) -> int:
    return bisect.bisect_left(range(len(values)), bound, key=lambda index: values[index].as_py())
