"""Resumes a run that ended early: a new run of the same pipeline, whose finished nodes come from the cache.

The metadata store knows finished work by content, so nothing has to be carried over: the same pipeline, parameters and span
find the same outputs. The span is set explicitly, because "the newest" may be another one by now.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from components.ingestion.record import RECORD as INGESTION
from components.trainer.record import RECORD as TRAINER
from pipelines.runners.kubeflow import messages, run_parameters, watching
from pipelines.runners.kubeflow.submit import LONGEST_NAME
from spec.errors import InputError

if TYPE_CHECKING:
    from pipelines.runners.kubeflow.client import Kubeflow

EXAMPLE_GEN = INGESTION.id
_RESUMED = " (resumed)"
SPAN_LINE = "the span of this run:"
"""ColumnarExampleGen's pod prints this line, so that a run can be resumed with the span that it got."""


@dataclasses.dataclass(frozen=True)
class Resumed:
    """What was started.

    Attributes:
        done: names of the nodes that are expected to come from the cache.
        span: what it trains on; None: the newest when it starts.
    """

    run_id: str
    name: str
    done: list[str]
    span: int | None


def resume(kubeflow: Kubeflow, run_id: str, span: int | None = None) -> Resumed:
    """Starts a run that continues where another ended.

    Args:
        run_id: of a run that failed or was terminated.
        span: for a run of "the newest span" whose log is gone.

    Raises:
        InputError: it is still running, it succeeded, none of its nodes is finished, or its pipeline was not kept.
        Unavailable: KFP does not answer.
    """
    run = kubeflow.run(run_id)
    _check_ended_early(run)
    done = watching.tasks_in(run, "SUCCEEDED")
    if not done:
        raise InputError(
            f"{run_id}: nothing of it is done, so there is nothing to resume. Start it anew: trainyard submit"
        )
    if not run.pipeline_spec and not run.pipeline_version_reference:
        raise InputError(f"{run_id}: KFP has not kept its pipeline. Start it anew: trainyard submit")
    parameters = dict((run.runtime_config and run.runtime_config.parameters) or {})
    if span is not None:
        parameters[run_parameters.SPAN] = span
    elif parameters.get(run_parameters.SPAN, -1) == -1 and (found := _span_of(kubeflow, run)) is not None:
        parameters[run_parameters.SPAN] = found
    if watching.task_of(run, TRAINER.id) in done and parameters.get(run_parameters.FORCE_RETRAIN):
        parameters[run_parameters.FORCE_RETRAIN] = False  # the forced model exists; resuming does not ask for another
    name = f"{(run.display_name or run_id).removesuffix(_RESUMED)[: LONGEST_NAME - len(_RESUMED)]}{_RESUMED}"
    trains_on = int(parameters.get(run_parameters.SPAN, -1))
    made = kubeflow.resumed(run, name, parameters)
    return Resumed(made, name, list(done.values()), trains_on if trains_on >= 0 else None)


def _check_ended_early(run: Any) -> None:
    state = watching.state_of(run)
    if state not in watching.ENDED:
        raise InputError(
            f"{run.run_id}: goes on (state {state or 'PENDING'}). Watch it: trainyard runs show {run.run_id} --wait; to end it: "
            f"trainyard runs terminate {run.run_id}"
        )
    if state == "SUCCEEDED":
        raise InputError(f"{run.run_id}: has succeeded; there is nothing to resume.")


def _span_of(kubeflow: Kubeflow, run: Any) -> int | None:
    """The span that ColumnarExampleGen found, from what its pod printed."""
    for pod in messages.pods_of(run, watching.task_of(run, EXAMPLE_GEN)):
        for name in pod:
            if found := re.search(rf"^{SPAN_LINE} (\d+)$", kubeflow.log(run.run_id, name) or "", re.MULTILINE):
                return int(found[1])
    return None
