"""Three hundred columns of floats, integers and words: what a column costs."""

from __future__ import annotations

from benchmarks.pipeline.tabular import Table


class Wide(Table):
    title = "a wide table"
    default_rows = 50_000


CASE = Wide(floats=150, ints=75, words=74)
