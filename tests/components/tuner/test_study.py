"""Trials that several processes share."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from components.searched import JOURNAL_FILE
from components.tuner._job import Job
from components.tuner._space import suggest
from components.tuner._study import Study


def test_what_is_tried_does_not_depend_on_who_tries_it(job: Callable[..., Job], tmp_path: pathlib.Path) -> None:
    """Two processes with one seed would try the same twice; a searcher who starts again would begin anew."""
    found = []
    for name, studies in (("alone", 1), ("shared", 2)):
        one = job(trials=6, sampler="random")
        one = Job(str(tmp_path / name), one.search, one.training, one.metric_name, one.sources)
        opened = [Study(one) for _ in range(studies)]
        values = []
        while (trial := opened[len(values) % studies].claim()) is not None:
            values.append(suggest(trial, one.search)["rate"])
            opened[0].end(trial, values[-1], TrialState.COMPLETE)
        found.append(values)
    assert found[0] == found[1] and len(set(found[0])) == 6


def test_a_lost_trial_is_tried_once_more_and_not_a_third_time(job: Callable[..., Job]) -> None:
    one = job(trials=2)
    study = Study(one)
    first = study.claim()
    assert first is not None
    tried = suggest(first, one.search)
    assert study.bury(alive=[os.getpid()]) == []
    assert study.bury() == [0]
    again = study.claim()
    assert again is not None and suggest(again, one.search) == tried
    assert study.bury() == [1]
    second = study.claim()
    assert second is not None and suggest(second, one.search) != tried
    assert study.claim() is None  # two trials were asked for: one was lost twice, the other is under way
    study.end(second, 0.5, TrialState.COMPLETE)
    assert not study.has_work
    assert [one.state for one in study.trials] == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]


def test_half_a_line_that_a_killed_writer_left_is_taken_away(job: Callable[..., Job]) -> None:
    one = job(trials=3)
    trial = Study(one).claim()
    journal = pathlib.Path(one.folder) / JOURNAL_FILE
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    study = Study(one)
    assert trial is not None and study.claim() is not None
    assert len(Study(one).trials) == 2


@pytest.mark.parametrize(
    ("pruner", "lower_is_better", "stopped"),
    [("none", False, []), ("asha", False, [1, 2, 3]), ("asha", True, [])],
)
def test_asha_stops_what_is_behind_after_the_first_epoch(
    job: Callable[..., Job], pruner: str, lower_is_better: bool, stopped: list[int]
) -> None:
    """16 epochs: the first look is after one of them. Values fall from trial to trial."""
    one = job(trials=4, pruner=pruner)
    one = Job(one.folder, one.search, one.training, "loss" if lower_is_better else "auc", one.sources)
    study, ended = Study(one), []
    for number in range(4):
        trial = study.claim()
        assert trial is not None
        trial.report(1.0 - number / 10, 1)
        if trial.should_prune():
            ended.append(number)
        study.end(trial, 1.0 - number / 10, TrialState.COMPLETE)
    assert ended == stopped
    assert study.winner is not None and study.winner.number == (3 if lower_is_better else 0)
