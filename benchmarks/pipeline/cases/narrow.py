"""Three columns: what a row costs that has hardly anything in it."""

from __future__ import annotations

from benchmarks.pipeline.tabular import Table


class Narrow(Table):
    title = "a narrow table"


CASE = Narrow(floats=1, ints=0, words=1)
