"""A process of a search: it takes trial after trial until none is left (components.prepared starts it)."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from components import border, lazy_imports
from spec import environment as env
from spec.errors import InputError
from spec.repeating import repeating
from spec.words import one_line

if TYPE_CHECKING:
    import optuna

    from components.tuner._job import Job
    from components.tuner._study import Study

_log = logging.getLogger(__name__)

BEAT_S = 10.0
_LOOK_AGAIN_S = 0.5


def warm() -> None:
    """Imports what `work` will need."""
    lazy_imports.install()
    import optuna  # noqa: F401

    from components.trainer import training  # noqa: F401


def work(request: dict[str, Any]) -> dict[str, int]:
    """Works on a job.

    Args:
        request: `job`, as `border.dump` writes it; `slot`, the number of this process among those of the search; `threads`, of
            TensorFlow.

    Returns:
        How many trials it ended.
    """
    import tensorflow as tf

    from components.trainer import training
    from components.tuner import _storages
    from components.tuner._job import Job
    from components.tuner._study import Study

    os.environ.pop(env.PROGRESS, None)  # the node tells how far all of them are
    tf.config.threading.set_intra_op_parallelism_threads(request["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(request["threads"])
    if gpus := tf.config.list_physical_devices("GPU"):
        tf.config.set_visible_devices(gpus[request["slot"] % len(gpus)], "GPU")
    job = border.load(Job, request["job"])
    # A trial has one device: several trials side by side use several.
    config = job.training.model_copy(update={"distribution": "none"})
    devices = training.find_devices(config)
    training.seed(config)
    material = training.Material.open(job.sources, config)
    study = Study(job, _storages.shared(job))
    return {"trials": take(study, job, lambda trial: _try(study, trial, material, config, devices, job))}


def take(study: Study, job: Job, attempt: Callable[[optuna.Trial], None]) -> int:
    """Takes trial after trial until none is left.

    Returns:
        How many it ended.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    from components.tuner._crew import name_of

    ended = 0
    while not study.is_over:
        try:
            if (trial := study.claim(name_of(os.getpid()))) is None:
                time.sleep(_LOOK_AGAIN_S)  # somebody may yet lose one
                continue
            with _beating(study, trial) if job.proxy else contextlib.nullcontext():
                attempt(trial)
        except UpdateFinishedTrialError:
            _log.warning("nothing was heard of this process for so long that its trial was given up")
        else:
            ended += 1
    return ended


def _beating(study: Study, trial: optuna.Trial) -> contextlib.AbstractContextManager[None]:
    """Lets the machine that keeps the trials know that this process lives, however long an epoch takes."""
    counts = itertools.count(1)

    def beat() -> None:
        try:
            study.beat(trial.number, next(counts))
        except Exception as error:  # the trial was given up, or nobody answers: what trains will find out
            _log.warning("trial %d: %s", trial.number, error)

    return repeating(beat, BEAT_S)


def _try(study: Any, trial: Any, material: Any, config: Any, devices: Any, job: Any) -> None:
    """One trial. Its value is that of the epoch whose weights training would keep, and so is what it reports meanwhile."""
    import optuna
    import tensorflow as tf
    from optuna.trial import TrialState

    from components.trainer import training
    from components.tuner._space import suggest

    values: list[float] = []

    def report(progress: training.Progress) -> None:
        shown = progress.history.get(f"val_{job.metric_name}")
        if shown is None:
            known = ", ".join(n.removeprefix("val_") for n in progress.history if n.startswith("val_"))
            raise InputError(
                f"training.search.metric: the model of build_model does not show {job.metric_name}. It shows: {known}."
            )
        values.append(shown[progress.best_epoch])
        trial.report(values[-1], progress.epochs)
        if progress.epochs < config.epochs and trial.should_prune():
            raise optuna.TrialPruned

    try:
        tried = config.with_values(suggest(trial, job.search))
        training.seed(tried)
        training.train(material, tried, devices, after_epoch=report)
    except optuna.TrialPruned:
        study.end(trial, None, TrialState.PRUNED)
    except (InputError, tf.errors.ResourceExhaustedError) as error:
        study.end(trial, None, TrialState.FAIL, one_line(error, 400))
    else:
        study.end(trial, values[-1], TrialState.COMPLETE)
