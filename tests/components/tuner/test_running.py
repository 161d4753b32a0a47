"""Processes of a search, killed for real."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from components.prepared import WorkerDied
from components.tuner import _crew, _outcome, _running, _storages, worker
from components.tuner._job import Job
from components.tuner._study import Study


@pytest.fixture(autouse=True)
def sleepy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_crew, "_MODULE", "tests.components.tuner.sleepy")


def test_a_killed_process_costs_a_trial_and_is_replaced(job: Callable[..., Job], tmp_path: pathlib.Path) -> None:
    """The first trial is lost once, the second twice."""
    (tmp_path / "deaths.json").write_text(json.dumps({"0": 1, "1": 2}))
    one = job(trials=8, parallel=2, sampler="random")
    found = _outcome.outcome(_running.search(one, lambda: None), one, {"train": 80, "eval": 20}, 1.0)
    assert found.record["counts"] == {"complete": 7, "pruned": 0, "failed": 0, "lost": 3}
    assert found.record["epochs"] == {"spent": 7 * 3 + 3 * 2, "full": 8 * 16}
    told = {one["number"]: one for one in found.record["trials"]}
    repeated = sorted((one for one in told.values() if "instead_of" in one), key=lambda one: one["instead_of"])
    assert [one["state"] for one in repeated] == ["complete", "lost"]
    assert all(one["values"] == told[one["instead_of"]]["values"] for one in repeated)
    best = max((one for one in told.values() if one["state"] == "complete"), key=lambda one: one["value"])
    assert (found.values, found.record["trial"]) == (best["values"], best["number"])
    assert found.record["importance"] == {"rate": pytest.approx(1.0)}


def test_a_process_that_dies_before_it_has_a_trial_is_done_without(job: Callable[..., Job]) -> None:
    """It would do so again: the others do its work. The last one's end is an error."""

    def kill_one() -> None:
        psutil.Process().children()[0].kill()

    study = _running.search(job(trials=4, parallel=2, sampler="random"), kill_one)
    assert [one.value is not None for one in study.trials] == [True] * 4
    with pytest.raises(WorkerDied, match="died of SIGKILL"):
        _running.search(job(trials=5), kill_one)


def test_a_process_is_heard_of_however_long_an_epoch_takes(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "BEAT_S", 0.05)
    monkeypatch.setattr(_running, "_SILENT_S", 1.0)
    one = job(trials=2)
    study, hearing = Study.create(one, _storages.shared(one)), _running.Hearing()
    study.plan()

    def attempt(trial: optuna.Trial) -> None:
        heard = [hearing.is_silent(study.trials[trial.number]) for _ in range(20) if not time.sleep(0.1)]
        study.end(trial, float(any(heard)), TrialState.COMPLETE)
        if trial.number == 0:
            assert (silent := study.claim("a process that stands still"))
            assert not hearing.is_silent(study.trials[silent.number])
            time.sleep(1.2)  # nobody listens
            assert not hearing.is_silent(study.trials[silent.number])
            assert any(study.bury(hearing.is_silent) for _ in range(100) if not time.sleep(0.1))
            study.plan()

    assert worker.take(study, dataclasses.replace(one, proxy="somewhere"), attempt) == 2
    assert [one.value for one in study.trials] == [0.0, None, 0.0]
