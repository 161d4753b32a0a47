"""The benchmark of the data gates: both sides come to the same verdicts, or it says where they differ."""

from __future__ import annotations

import pytest

from benchmarks.data_quality import __main__ as benchmark
from benchmarks.data_quality.gates import key
from benchmarks.data_quality.suite import expectations


def test_the_suite_is_sixty_that_can_be_told_apart() -> None:
    suite = expectations()
    assert len(suite) == len({key(one["type"], one["kwargs"]) for one in suite}) == 60


def test_sides_that_differ_are_told() -> None:
    ours = {"checks": {"a": [True, 0], "b": [True, None]}, "drifted": ["fare"]}
    benchmark._insist_on_the_same_verdicts([ours, ours])
    with pytest.raises(SystemExit, match="'b'"):
        benchmark._insist_on_the_same_verdicts([ours, {**ours, "checks": {"a": [True, 0], "b": [False, None]}}])
    with pytest.raises(SystemExit, match="miles"):
        benchmark._insist_on_the_same_verdicts([ours, {**ours, "drifted": ["miles"]}])


@pytest.mark.slow
def test_both_sides_agree_on_trips(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--rows", "20000", "--rounds", "1"]) == 0
    told = capsys.readouterr().out
    assert "20,000 rows x 18 columns, 60 expectations" in told and "all checks, s" in told
