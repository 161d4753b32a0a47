"""A made-up history: three spans of one workload, of which the second failed."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from quality.history import Change, Check, Column, History, Outcome, Release, Validation

MARKUP = "<script>alert(1)</script>"


def validation(span: int, outcome: Outcome = Outcome.PASSED, workload: str = "taxi", again: str = "") -> Validation:
    failed = outcome is Outcome.FAILED
    checks = (
        Check(
            "DataQuality",
            f"expect_column_values_to_not_be_null(fare {MARKUP})",
            not failed,
            "critical",
            f"40 of 400 values do not, e.g. {MARKUP}",
            "fare",
            "expect_column_values_to_not_be_null",
            40 if failed else 0,
            400,
            evidence={"sample": [{"row": 3, "value": MARKUP}]},
        ),
        Check("ExampleValidator", "schema (train)", True, "critical", "every column is as the schema says"),
    )
    columns = (
        Column("fare", "float", 400, 0.1 * failed, None, 9.0, 2.0, 0.0, 50.0 + span, {0.05: 1.0, 0.5: 8.0 + span},
               ((0.0, 25.0, 300.0), (25.0, 50.0, 60.0))),
        Column(f"kind {MARKUP}", "text", 400, 0.0, 2, top_values=((MARKUP, 300.0), ("=1+1", 100.0))),
    )  # fmt: skip
    changes = (Change("drift", "fare", "psi", 0.31 if failed else 0.02, 0.2, reference=f"span {span - 1}"),)
    return Validation(
        f"run-{span}{again}", workload, span, f"2026-11-{span:02d}T06:00:00+00:00", outcome, f"Verdict {MARKUP}",
        rows=400, owner="data-team", data=f"s3://data/{workload}/{span}", checks=checks, columns=columns, changes=changes,
    )  # fmt: skip


@pytest.fixture
def history(tmp_path: pathlib.Path) -> Iterator[History]:
    with History.open(f"sqlite:///{tmp_path}/quality.sqlite") as opened:
        opened.record(validation(1), Release("taxi", 1, 1, "2026-11-01T07:00:00+00:00", "run-1"))
        opened.record(validation(2, Outcome.FAILED))
        opened.record(validation(3))
        yield opened
