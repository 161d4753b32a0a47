"""What a search came to: the winner, and search.json, which the report draws."""

from __future__ import annotations

import logging
import math
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from components.searched import Searched
from components.tuner._job import Job
from components.tuner._study import INSTEAD_OF, REASON, Study, epochs_of, is_lost
from spec.errors import InputError

_log = logging.getLogger(__name__)

_LOST = "lost"
_WORDS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


def outcome(study: Study, job: Job, rows: dict[str, int], seconds: float) -> Searched:
    """The winner's values, and the record of all trials.

    Args:
        rows: of the split, that trials learnt from and were compared on.
        seconds: of the search, this time.

    Raises:
        InputError: no trial came to its end.
    """
    trials, best = [one for one in study.trials if one.state.is_finished()], study.winner
    plain = [_plain(one) for one in trials]
    counts = {word: sum(one["state"] == word for one in plain) for word in (*_WORDS.values(), _LOST)}
    if best is None:
        raise InputError(_nothing_found(plain, counts))
    record = {
        "metric": job.metric_name,
        "lower_is_better": job.metric.lower_is_better,
        "value": best.value,
        "trial": best.number,
        "values": best.params,
        "counts": counts,
        "epochs": {"spent": epochs_of(trials), "full": job.search.trials * job.training.epochs},
        "rows": rows,
        "seconds": round(seconds, 3),
        "sampler": job.search.sampler,
        "pruner": job.search.pruner,
        "seed": job.search.seed,
        "parallel": job.processes,
        "space": {name: one.model_dump(mode="json", exclude_defaults=True) for name, one in job.search.space.items()},
        "importance": importance(trials, job),
        "trials": plain,
    }
    return Searched(best.params, record)


def importance(trials: list[FrozenTrial], job: Job) -> dict[str, float]:
    """How much of the value's spread each hyper-parameter explains, most first (fANOVA, Hutter et al. 2014); empty: too few trials.

    Trials that were pruned count with the best that they had come to, or there would be few. What has a condition is left out, since
    not all trials have it.
    """
    told = [one for one in trials if _value(one) is not None]
    copy = optuna.create_study(direction="minimize" if job.metric.lower_is_better else "maximize")
    copy.add_trials(
        optuna.trial.create_trial(params=one.params, distributions=one.distributions, value=_value(one)) for one in told
    )
    rated = [name for name, one in job.search.space.items() if not one.when]
    try:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=job.search.seed)
        return optuna.importance.get_param_importances(copy, evaluator=evaluator, params=rated)
    except (ValueError, RuntimeError) as error:  # one trial, or the same value in all of them
        _log.warning("importance of hyper-parameters is not known: %s", error)
        return {}


def _plain(trial: FrozenTrial) -> dict[str, Any]:
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return {
        "number": trial.number,
        "state": _LOST if is_lost(trial) else _WORDS[trial.state],
        "value": _value(trial),
        "epochs": trial.last_step or 0,
        "seconds": round(seconds, 3),
        "values": trial.params,
        **{name: trial.user_attrs[name] for name in (REASON, INSTEAD_OF) if name in trial.user_attrs},
    }


def _value(trial: FrozenTrial) -> float | None:
    """Of a trial that ended by itself or was pruned; None of others."""
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED) or trial.value is None:
        return None
    return trial.value if math.isfinite(trial.value) else None


def _nothing_found(trials: list[dict[str, Any]], counts: dict[str, int]) -> str:
    many = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    reasons = [one[REASON] for one in trials if REASON in one]
    last = f" The last one that failed: {reasons[-1]}" if reasons else ""
    return f"training.search: none of the trials came to its end ({many}). Narrow training.search.space, or mend model.py.{last}"
