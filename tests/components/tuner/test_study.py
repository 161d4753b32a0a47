"""Trials that several processes share."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from components.searched import JOURNAL_FILE
from components.tuner import _storages
from components.tuner._job import Job
from components.tuner._space import suggest
from components.tuner._study import Study


def created(job: Job) -> Study:
    study = Study.create(job, _storages.shared(job))
    study.plan()
    return study


def test_what_is_tried_depends_neither_on_who_tries_it_nor_on_losses(
    job: Callable[..., Job], tmp_path: pathlib.Path
) -> None:
    """Two processes with one seed would try the same twice; a searcher who starts again would begin anew."""
    found = []
    for name, studies, lost in (("alone", 1, -1), ("shared", 2, -1), ("lost", 2, 1)):
        one = dataclasses.replace(job(trials=8, sampler="random"), folder=str(tmp_path / name))
        owner = created(one)
        opened, values = [Study(one, _storages.shared(one)) for _ in range(studies)], set()
        for turn in range(20):
            trial = opened[turn % studies].claim("me")
            if trial is None:
                break
            values.add(suggest(trial, one.search)["rate"])
            if turn == lost:
                assert owner.bury(lambda trial: True) == [trial.number]
            else:
                opened[0].end(trial, 0.5, TrialState.COMPLETE)
            owner.plan()
        assert owner.is_over
        found.append(values)
    assert found[0] == found[1] == found[2] and len(found[0]) == 8


def test_a_lost_trial_is_tried_once_more_and_not_a_third_time(job: Callable[..., Job]) -> None:
    one = job(trials=2)
    study = created(one)
    first, second = study.claim("me"), study.claim("me")
    assert first is not None and second is not None
    tried = suggest(first, one.search)
    assert suggest(second, one.search) != tried
    assert study.bury(lambda trial: trial.user_attrs["worker"] != "me") == []
    assert study.bury(lambda trial: trial.number == 0) == [0]
    assert study.claim("me") is None and not study.is_over  # whoever runs the search has yet to plan it
    for _ in range(2):
        study.plan()
    again = study.claim("me")
    assert again is not None and suggest(again, one.search) == tried
    assert study.bury(lambda trial: trial.number == again.number) == [2]
    study.plan()
    assert (
        study.claim("me") is None and not study.is_over
    )  # two were asked for: one was lost twice, the other is under way
    study.end(second, 0.5, TrialState.COMPLETE)
    assert study.is_over
    assert [one.state for one in study.trials] == [TrialState.FAIL, TrialState.COMPLETE, TrialState.FAIL]


def test_what_was_given_up_cannot_be_ended(job: Callable[..., Job]) -> None:
    study = created(job(trials=2))
    late = study.claim("late")
    assert late is not None
    study.bury(lambda trial: True)
    for step in (
        lambda: study.beat(late.number, 1),
        lambda: late.report(0.5, 1),
        lambda: study.end(late, 0.5, TrialState.COMPLETE),
        lambda: study.end(late, None, TrialState.FAIL, "out of memory"),
    ):
        with pytest.raises(UpdateFinishedTrialError):
            step()
    assert study.winner is None and "reason" not in study.trials[0].user_attrs


def test_fewer_trials_than_before_are_enough(job: Callable[..., Job]) -> None:
    """Those that were planned beyond the new number are not tried."""
    one = job(trials=6, parallel=3)
    study = created(one)
    trial = study.claim("me")
    assert trial is not None and len(study.trials) == 6
    study.end(trial, 0.5, TrialState.COMPLETE)
    fewer = Study(dataclasses.replace(one, search=one.search.model_copy(update={"trials": 2})), _storages.shared(one))
    assert not fewer.is_over
    trial = fewer.claim("me")
    assert trial is not None and trial.number == 1
    fewer.end(trial, 0.5, TrialState.COMPLETE)
    assert fewer.is_over and fewer.claim("me") is None


def test_half_a_line_that_a_killed_writer_left_is_taken_away(job: Callable[..., Job]) -> None:
    one = job(trials=3)
    trial = created(one).claim("me")
    journal = pathlib.Path(one.folder) / JOURNAL_FILE
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    study = Study(one, _storages.shared(one))
    assert trial is not None and study.claim("me") is not None
    states = [trial.state for trial in Study(one, _storages.shared(one)).trials]
    assert states == [TrialState.RUNNING, TrialState.RUNNING]


@pytest.mark.parametrize(
    ("pruner", "lower_is_better", "stopped"),
    [("none", False, []), ("asha", False, [1, 2, 3]), ("asha", True, [])],
)
def test_asha_stops_what_is_behind_at_the_first_look(
    job: Callable[..., Job], pruner: str, lower_is_better: bool, stopped: list[int]
) -> None:
    """16 epochs: the first look is after two of them. Values fall from trial to trial."""
    one = job(trials=4, pruner=pruner)
    study, ended = created(dataclasses.replace(one, metric_name="loss" if lower_is_better else "auc")), []
    for number in range(4):
        trial = study.claim("me")
        assert trial is not None
        trial.report(1.0 - number / 10, 2)
        if trial.should_prune():
            ended.append(number)
        study.end(trial, 1.0 - number / 10, TrialState.COMPLETE)
        study.plan()
    assert ended == stopped
    assert study.winner is not None and study.winner.number == (3 if lower_is_better else 0)
