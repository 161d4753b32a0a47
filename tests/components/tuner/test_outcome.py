"""What a search came to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from components.searched import Searched, read
from components.tuner import _outcome, _storages
from components.tuner._job import Job
from components.tuner._space import suggest
from components.tuner._study import Study
from spec.errors import InputError

UNITS = {"type": "int", "low": 8, "high": 64, "when": {"kind": "deep"}}
SPACE = {
    "rate": {"type": "float", "low": 0.1, "high": 1.0},
    "noise": {"type": "float", "low": 0.1, "high": 1.0},
    "kind": {"type": "categorical", "choices": ["deep", "wide"]},
    "units": UNITS,
}


def created(job: Job) -> Study:
    study = Study.create(job, _storages.shared(job))
    study.plan()
    return study


def test_a_search_without_a_whole_trial_says_why(job: Callable[..., Job]) -> None:
    one = job(trials=2)
    study = created(one)
    for state, reason in ((TrialState.PRUNED, ""), (TrialState.FAIL, "training diverged")):
        trial = study.claim("me")
        assert trial is not None
        study.end(trial, None, state, reason)
    with pytest.raises(InputError, match=r"its end \(1 pruned, 1 failed\).*failed: training diverged"):
        _outcome.outcome(study, one, {}, 1.0)


def test_the_winner_came_to_its_end_and_what_mattered_is_found(job: Callable[..., Job], tmp_path) -> None:
    """The best value of all is of a trial that was pruned; the value depends on `rate` alone."""
    one = job(trials=40, sampler="random", space=SPACE)
    study = created(one)
    while (trial := study.claim("me")) is not None:
        values = suggest(trial, one.search)
        assert ("units" in values) == (values["kind"] == "deep")
        trial.report(values["rate"], 5)
        pruned = values["rate"] > 0.9
        study.end(trial, None if pruned else values["rate"], TrialState.PRUNED if pruned else TrialState.COMPLETE)
        study.plan()
    found = _outcome.outcome(study, one, {"train": 8, "eval": 2}, 1.0)
    rates = {one["number"]: one["values"]["rate"] for one in found.record["trials"]}
    assert max(rates.values()) > 0.9 > found.values["rate"] == max(rate for rate in rates.values() if rate <= 0.9)
    assert found.record["epochs"] == {"spent": 200, "full": 640}
    importance = found.record["importance"]
    assert next(iter(importance)) == "rate" and importance["rate"] > 0.8 and "units" not in importance
    found.write(tmp_path / "artifact")
    assert read(tmp_path / "artifact") == found
    (tmp_path / "artifact" / "search.json").unlink()  # as TFX's own Tuner leaves it
    assert read(tmp_path / "artifact") == Searched(found.values)
