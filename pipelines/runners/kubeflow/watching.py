"""A run on Kubeflow, read from what KFP's API says of it, and watched until it ends."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.results import ComponentResult, RunResult
from spec import exit_codes

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
PATIENCE_S = 600.0  # an API that is being upgraded comes back; the run does not need it
_STATUS = {"PENDING": "waiting", "PAUSED": "waiting", "CANCELING": "running", "": "waiting"}


class Unavailable(Exception):
    """KFP's API does not answer, or not now: may be tried again."""


def result_of(run: Any, link: str) -> RunResult:
    """A run as `trainyard run` shows one.

    Args:
        run: `V2beta1Run`.
        link: to KFP's UI.
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
    """The state of a run, empty while KFP does not know.

    A terminated run ends as FAILED, because its workflow did; that it was CANCELING is in its history.
    """
    state = str(run.state or "")
    terminated = any(one.state == "CANCELING" for one in run.state_history or ())
    return "CANCELED" if state == "FAILED" and terminated else state


def failed_tasks(run: Any) -> dict[str, str]:
    """Key of each task that failed -> the name that it shows."""
    failed = {one.display_name for one in _details(run) if one.state == "FAILED"}
    return {key: name for key, name in task_names(run).items() if key in failed}


def finished_tasks(run: Any) -> dict[str, str]:
    """Key of each task that is done -> the name that it shows."""
    done = {one.display_name for one in _details(run) if one.state == "SUCCEEDED"}
    return {key: name for key, name in task_names(run).items() if key in done}


def watch(
    look: Callable[[], RunResult], show: Callable[[RunResult], None], say: Callable[[str], None], every: float
) -> RunResult:
    """Looks at a run until it has ended. An API that is away for a while is waited for: a line when it goes, one when it is back.

    Args:
        look: reads the run.
        show: is given what was read, each time.
        say: is told when the API does not answer.
        every: seconds between two looks.

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
    """Whether nothing more will happen."""
    return result.status.upper() in ENDED


def task_names(run: Any) -> dict[str, str]:
    """Key of each task -> the name that it shows, in the file's order; empty if the run does not carry its file."""
    spec = run.pipeline_spec if isinstance(run.pipeline_spec, Mapping) else {}
    spec = spec.get("pipeline_spec", spec)
    tasks = spec.get("root", {}).get("dag", {}).get("tasks", {})
    names = {key: task.get("taskInfo", {}).get("name", key) for key, task in tasks.items()}
    return {key: names[key] for key in _ordered({key: task.get("dependentTasks", ()) for key, task in tasks.items()})}


def moment(when: datetime.datetime | None) -> datetime.datetime | None:
    """A time of KFP's; it writes 1970 for what has not happened yet."""
    if when is None or when.year <= 1970:
        return None
    return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)


def _ordered(upstream: Mapping[str, Any]) -> list[str]:
    """Tasks, each after those that it waits for; KFP's API sorts them by name."""
    done: list[str] = []
    while ready := [key for key in upstream if key not in done and set(upstream[key]) & set(upstream) <= set(done)]:
        done += ready
    return done + [key for key in upstream if key not in done]


def _components(run: Any) -> list[ComponentResult]:
    details: dict[str, Any] = {}
    # A task that KFP starts again is there more than once; the newest counts.
    for one in sorted(_details(run), key=_began):
        details[one.display_name] = one
    return [_component(name, details.get(key), details.get(f"{key}-driver")) for key, name in task_names(run).items()]


def _details(run: Any) -> Sequence[Any]:
    return (run.run_details and run.run_details.task_details) or ()


def _component(name: str, task: Any, driver: Any) -> ComponentResult:
    """KFP has two entries for a task: `trainer-driver`, a pod that prepares, and then `trainer`."""
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
    """Which tasks failed, and what KFP says of them, which is seldom anything; why is in the pods' logs (messages.py)."""
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
    return " ".join("; ".join([head, *dict.fromkeys(messages)]).split())


def _span(run: Any) -> int | None:
    given = (run.runtime_config and run.runtime_config.parameters) or {}
    span = given.get("span")
    return int(span) if isinstance(span, int | float) and span >= 0 else None
