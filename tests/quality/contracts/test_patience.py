from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Iterator

import pytest

from quality.contracts._patience import TookTooLong, within
from quality.contracts._sources import Source, SourceAway, _read_query


def test_items_come_in_their_order_and_errors_with_them() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise ValueError("at the end")

    seen = []
    with pytest.raises(ValueError, match="at the end"):
        for one in within(5, items(), lambda: None):
            seen.append(one)
    assert seen == [0, 1, 2, 3, 4]


def test_what_takes_too_long_is_cancelled() -> None:
    stopped, closed = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        try:
            yield 1
            stopped.wait(30)
            yield 2
        finally:
            closed.set()

    started = time.monotonic()
    with pytest.raises(TookTooLong):
        list(within(0.1, items(), stopped.set))
    assert closed.is_set() and time.monotonic() - started < 5


def test_a_reader_that_leaves_early_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    reading = within(5, items(), lambda: None)
    assert next(reading) == 0
    reading.close()
    assert closed.wait(5)


def test_a_slow_query_is_cancelled(tmp_path: pathlib.Path) -> None:
    (tmp_path / "lake.db").touch()
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    started = time.monotonic()
    with pytest.raises(SourceAway, match=r"no rows of the query came within 0.5 s, and it was cancelled. .* --timeout"):
        list(_read_query(Source(f"sqlite:///{tmp_path}/lake.db", endless, timeout_s=0.5), [], ()))
    assert time.monotonic() - started < 10
    for thread in threading.enumerate():
        if thread.name == "read the source":
            thread.join(30)
            assert not thread.is_alive(), "the query goes on"
