"""Counts of values: exact, whatever had to be moved to files."""

from __future__ import annotations

import collections
import pathlib

import numpy as np
import pyarrow as pa
import pytest

from components.statistics._counting import ValueCounter


def expected(values: list[bytes] | list[int], size: int) -> tuple[int, list[tuple[bytes | int, int]]]:
    counts = collections.Counter(values)
    return len(counts), sorted(counts.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:size]


@pytest.mark.parametrize("spills", [0, 1, 5])
@pytest.mark.parametrize("order", ["random", "growing"])
@pytest.mark.parametrize("kind", [pa.int64(), pa.large_binary()])
def test_counts_are_exact(tmp_path: pathlib.Path, spills: int, order: str, kind: pa.DataType) -> None:
    drawn = np.random.default_rng(1).zipf(1.3, 200_000) % 50_000
    if order == "growing":  # as ids do: then every file holds a range of its own
        drawn = np.sort(drawn)
    values = drawn.tolist() if kind == pa.int64() else [b"v%d" % n for n in drawn]
    counter = ValueCounter(tmp_path / "column")
    for number, start in enumerate(range(0, len(values), 20_000)):
        counter.add(pa.array([*values[start : start + 20_000], None], kind))
        if spills and number % 2 == 0 and number // 2 < spills:
            counter.spill()
            assert counter.nbytes == 0
    assert len(list(tmp_path.iterdir())) == spills
    assert counter.unique_and_top(100) == expected(values, 100)


def test_what_often_repeats_needs_little_memory(tmp_path: pathlib.Path) -> None:
    counter = ValueCounter(tmp_path / "column")
    for _ in range(100):
        counter.add(pa.array(np.arange(10_000)))
    assert counter.nbytes < 100 * 10_000 * 16 / 10  # a tenth of what was added
    assert counter.unique_and_top(1) == (10_000, [(9_999, 100)])


def test_nothing_is_no_value(tmp_path: pathlib.Path) -> None:
    counter = ValueCounter(tmp_path / "column")
    counter.add(pa.array([None, None], pa.large_binary()))
    counter.spill()
    assert counter.unique_and_top(3) == (0, [])
