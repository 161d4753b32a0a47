"""Turns the end of a remote run into a task's result or error."""

from __future__ import annotations

from airflow_kubeflow.api import Json
from airflow_kubeflow.exceptions import KubeflowRunFailed, KubeflowRunTimeout, KubeflowUnavailable, KubeflowUserError

_RESULT = ("run_id", "state", "ui", "seconds", "tasks", "outputs")


def result(event: Json) -> Json:
    """What a task returns.

    Raises:
        KubeflowUserError: the user has to correct something, or somebody has ended the run.
        KubeflowUnavailable: KFP did not answer for too long.
        KubeflowRunFailed: the run failed.
        KubeflowRunTimeout: it took too long.
    """
    match event["kind"]:
        case "away":
            raise KubeflowUnavailable(f"{event['error']} The run goes on; the next try watches it.")
        case "refused":
            raise KubeflowUserError(f"{event['error']} The run goes on without being watched.")
        case "overdue":
            raise KubeflowRunTimeout(f"Run {event['run_id']} was not done by {event['deadline']}; it was terminated.")
    run: Json = event["run"]
    if run["state"] != "SUCCEEDED":
        raise failure(run)
    return {name: run[name] for name in _RESULT}


def failure(run: Json) -> Exception:
    """Why a run that has ended did not succeed."""
    if run["state"] in ("CANCELED", "SKIPPED"):
        how = "was ended by somebody in Kubeflow" if run["state"] == "CANCELED" else "was skipped by Kubeflow"
        return KubeflowUserError(f"Run {run['run_id']} {how}. Not retried: {run['ui']}")
    tasks = f" in {', '.join(run['failed'])}" if run["failed"] else ""
    said = f": {run['error'].rstrip('.')}" if run["error"] else ""
    line = f"Run {run['run_id']} failed{tasks}{said}. The log of the task in Kubeflow says why: {run['ui']}"
    if run["user_error"]:
        return KubeflowUserError(f"Not retried, the input needs mending. {line}")
    return KubeflowRunFailed(line)
