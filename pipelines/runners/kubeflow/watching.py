"""Reads the state of a run on Kubeflow from KFP's API, and watches it until it ends."""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.runners.kubeflow.grouping import snake_case
from pipelines.runners.results import ComponentResult, RunResult
from spec import exit_codes
from spec.words import one_line

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
PATIENCE_S = 600.0  # an API that is being upgraded comes back, and the run does not need it meanwhile
_STATUS = {"PENDING": "waiting", "PAUSED": "waiting", "CANCELING": "running", "": "waiting"}


class Unavailable(Exception):
    """KFP's API does not answer; may be tried again."""


def result_of(run: Any, link: str) -> RunResult:
    """The run as a result like `trainyard run`'s.

    Args:
        run: `V2beta1Run`.
    """
    state = state_of(run)
    result = RunResult(run.display_name or "", run.run_id, span=_span(run), status=_status(state), ui=link)
    result.components = _components(run)
    began, over = moment(run.created_at), moment(run.finished_at)
    if began:
        result.seconds = ((over or datetime.datetime.now(datetime.UTC)) - began).total_seconds()
    if state in ENDED and state != "SUCCEEDED":
        result.error = _error(run, result)
        result.exit_code = exit_codes.MAY_RETRY
    return result


def state_of(run: Any) -> str:
    """The state of a run; empty while KFP does not know it.

    A terminated run ends as FAILED, like its workflow; only its history says that it was CANCELING.
    """
    state = str(run.state or "")
    terminated = any(one.state == "CANCELING" for one in run.state_history or ())
    return "CANCELED" if state == "FAILED" and terminated else state


def tasks_in(run: Any, state: str) -> dict[str, str]:
    """Key of each task in KFP's state of that name (FAILED, SUCCEEDED) -> its display name."""
    found = {one.display_name for one in _details(run) if one.state == state}
    return {key: name for key, name in task_names(run).items() if key in found}


def watch(
    look: Callable[[], RunResult], show: Callable[[RunResult], None], say: Callable[[str], None], every: float
) -> RunResult:
    """Watches a run until it has ended. Waits for an API that is away, and says when it goes away and comes back.

    Args:
        every: seconds between two reads.

    Raises:
        Unavailable: it was away for ten minutes.
        InputError: access was lost.
    """
    seen, away = time.monotonic(), False
    while True:
        try:
            result = look()
        except Unavailable as error:
            if time.monotonic() - seen > PATIENCE_S:
                raise
            if not away:
                say(f"{error} Asked again; the run goes on without it")
            away = True
        else:
            if away:
                say(f"KFP answers again, after {time.monotonic() - seen:.0f} s")
            seen, away = time.monotonic(), False
            show(result)
            if ended(result):
                return result
        time.sleep(every)


def ended(result: RunResult) -> bool:
    """Whether the run has ended."""
    return result.status.upper() in ENDED


def task_names(run: Any) -> dict[str, str]:
    """Key of each task -> its display name, in the graph's order; empty if KFP has not kept the pipeline."""
    tasks = _spec(run).get("root", {}).get("dag", {}).get("tasks", {})
    names = {key: task.get("taskInfo", {}).get("name", key) for key, task in tasks.items()}
    return {key: names[key] for key in _ordered({key: task.get("dependentTasks", ()) for key, task in tasks.items()})}


def task_of(run: Any, node_id: str) -> str:
    """Key of the task that runs a node, alone or with others; if KFP has not kept the pipeline, the key of one that runs it alone."""
    spec = _spec(run)
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    for key, task in spec.get("root", {}).get("dag", {}).get("tasks", {}).items():
        component = spec.get("components", {}).get(task.get("componentRef", {}).get("name"), {})
        arguments = executors.get(component.get("executorLabel"), {}).get("container", {}).get("args", [])
        if ("--node", node_id) in itertools.pairwise(arguments):
            return str(key)
    return snake_case(node_id).replace("_", "-")


def _spec(run: Any) -> Mapping[str, Any]:
    """The pipeline document; empty if KFP has not kept it."""
    spec = run.pipeline_spec if isinstance(run.pipeline_spec, Mapping) else {}
    found: Mapping[str, Any] = spec.get("pipeline_spec", spec)
    return found


def moment(when: datetime.datetime | None) -> datetime.datetime | None:
    """A time from KFP, which writes 1970 for what has not happened yet: None then."""
    if when is None or when.year <= 1970:
        return None
    return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)


def _ordered(upstream: Mapping[str, Any]) -> list[str]:
    """Tasks in the order of their dependencies; KFP's API sorts them by name."""
    done: list[str] = []
    while ready := [key for key in upstream if key not in done and set(upstream[key]) & set(upstream) <= set(done)]:
        done += ready
    return done + [key for key in upstream if key not in done]


def _components(run: Any) -> list[ComponentResult]:
    details: dict[str, Any] = {}
    # A retried task appears more than once; the newest counts.
    for one in sorted(_details(run), key=_began):
        details[one.display_name] = one
    return [_component(name, details.get(key), details.get(f"{key}-driver")) for key, name in task_names(run).items()]


def _details(run: Any) -> Sequence[Any]:
    return (run.run_details and run.run_details.task_details) or ()


def _component(name: str, task: Any, driver: Any) -> ComponentResult:
    """A task's state. KFP has two entries for it: `trainer-driver`, a pod that prepares, and then `trainer`."""
    if task is None and driver is not None:
        status = "running" if driver.state == "SUCCEEDED" else _status(driver.state)
        return ComponentResult(name, status)
    if task is None:
        return ComponentResult(name)
    began, over = moment(task.start_time), moment(task.end_time)
    seconds = (over - began).total_seconds() if began and over and task.state in ENDED else None
    return ComponentResult(name, _status(task.state), seconds)


def _began(task: Any) -> float:
    began = moment(task.create_time) or moment(task.start_time)
    return began.timestamp() if began else 0.0


def _status(state: str | None) -> str:
    return _STATUS.get(state or "", (state or "waiting").lower())


def _error(run: Any, result: RunResult) -> str:
    """Which tasks failed, with KFP's own messages, if any; the reasons are in the pods' logs (messages.py)."""
    failed = [one.id for one in result.components if one.status == "failed"]
    messages = [run.error.message] if run.error and run.error.message else []
    for task in _details(run):
        if task.state == "FAILED" and task.error and task.error.message:
            messages.append(task.error.message)
    if state_of(run) == "CANCELED":
        head = "ended by somebody"
    elif failed:
        head = f"{', '.join(failed)} failed; why is in the line of its log that starts with `trainyard:`"
    else:
        head = f"KFP says {run.state}"
    return one_line("; ".join([head, *dict.fromkeys(messages)]))


def _span(run: Any) -> int | None:
    given = (run.runtime_config and run.runtime_config.parameters) or {}
    span = given.get("span")
    return int(span) if isinstance(span, int | float) and span >= 0 else None
