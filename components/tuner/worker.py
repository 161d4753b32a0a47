"""A process of a search: it takes trial after trial until none is left (components.prepared starts it)."""

from __future__ import annotations

import os
from typing import Any

from components import border, lazy_imports
from spec import environment as env
from spec.errors import InputError
from spec.words import one_line


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
    study, ended = Study(job), 0
    while (trial := study.claim()) is not None:
        _try(study, trial, material, config, devices, job)
        ended += 1
    return {"trials": ended}


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
