"""Reads a remote run from what KFP's API says about it."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_kubeflow.api import ENDED, Json

USER_EXIT_CODES = (2,)
# What Kubernetes and Argo write when it was not the program's fault.
_PLATFORM = re.compile(
    r"evict|preempt|oomkilled|node (?:was )?(?:shutdown|lost)|imagepull|pod (?:was )?(?:deleted|terminated)|deadline",
    re.IGNORECASE,
)
_EXIT_CODE = re.compile(r"exit(?:ed)?(?: with)?(?: code| status)?[ :=]*(\d+)", re.IGNORECASE)
_GRAPH_NODES = ("root", "executor")


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of a run.

    Attributes:
        name: its name in the pipeline's file.
        state: KFP's.
        seconds: how long it took; None until it has ended.
        error: KFP's message.
        outputs: output's name -> ids of artifacts.
    """

    name: str
    state: str
    seconds: float | None
    error: str
    outputs: Mapping[str, list[str]]


def state(run: Json) -> str:
    """The state of a run; KFP omits it at first.

    A terminated run may end as FAILED because its workflow did; its history then contains CANCELING.
    """
    now = str(run.get("state") or "PENDING")
    terminated = any(one.get("state") == "CANCELING" for one in run.get("state_history") or ())
    return "CANCELED" if now == "FAILED" and terminated else now


def ended(run: Json) -> bool:
    """Whether nothing more will happen."""
    return state(run) in ENDED


def moment(text: Any) -> datetime.datetime | None:
    """Parses KFP's time; it writes 1970 for what has not happened yet."""
    if not text:
        return None
    when = datetime.datetime.fromisoformat(str(text))
    when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
    return when if when.year > 1970 else None


def tasks(run: Json) -> list[Task]:
    """The tasks that have begun.

    KFP also lists a driver for each task, and the graph itself. A task that KFP has retried is listed more than once; the
    newest entry counts.
    """
    newest: dict[str, Mapping[str, Any]] = {}
    details = (run.get("run_details") or {}).get("task_details") or []
    for one in sorted(details, key=lambda one: str(one.get("create_time") or one.get("start_time") or "")):
        newest[str(one.get("display_name") or one.get("task_id"))] = one
    names = _declared(run)
    chosen = [name for name in names if name in newest] if names else [name for name in newest if _is_task(name)]
    return [_task(names.get(name, name), newest[name]) for name in chosen]


def summary(run: Json, link: str) -> Json:
    """A run in a few JSON values, for a trigger's event and XCom."""
    every = tasks(run)
    began, over = moment(run.get("created_at")), moment(run.get("finished_at"))
    failed = [one.name for one in every if one.state == "FAILED"]
    messages = list(dict.fromkeys(_messages(run)))
    return {
        "run_id": run.get("run_id"),
        "state": state(run),
        "ui": link,
        "seconds": round((over - began).total_seconds(), 1) if began and over else None,
        "tasks": {one.name: one.state for one in every},
        "outputs": {one.name: dict(one.outputs) for one in every if one.outputs},
        "failed": failed,
        "error": "; ".join(messages)[:2000],
        "user_error": any(_is_users(message) for message in messages),
    }


def progress(before: Mapping[str, str], every: list[Task]) -> Iterator[str]:
    """A line for each task whose state has changed.

    Example:
        >>> list(progress({"trainer": "RUNNING"}, [Task("trainer", "SUCCEEDED", 192, "", {})]))
        ['trainer RUNNING -> SUCCEEDED 3m12s']
    """
    for task in every:
        was = before.get(task.name)
        if was == task.state:
            continue
        line = f"{task.name} {was} -> {task.state}" if was else f"{task.name} {task.state}"
        line = f"{line} {in_words(task.seconds)}" if task.seconds is not None else line
        yield f"{line}: {task.error}" if task.error else line


def in_words(seconds: float) -> str:
    """A duration as people write it.

    Example:
        >>> in_words(192), in_words(7.4), in_words(3661)
        ('3m12s', '7s', '1h01m')
    """
    minutes, left = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes}m{left:02}s" if minutes else f"{left}s"


def _declared(run: Json) -> dict[str, str]:
    """Task key in the pipeline's file -> displayed name, in the order of dependencies; empty if KFP sends no file."""
    spec = run.get("pipeline_spec") or {}
    declared = ((spec.get("pipeline_spec") or spec).get("root") or {}).get("dag", {}).get("tasks", {})
    left = {key: set(task.get("dependentTasks", ())) & set(declared) for key, task in declared.items()}
    ordered: list[str] = []
    while left:
        ready = [key for key, needs in left.items() if needs <= set(ordered)] or list(left)
        ordered += ready
        left = {key: needs for key, needs in left.items() if key not in ready}
    return {key: str(declared[key].get("taskInfo", {}).get("name", key)) for key in ordered}


def _is_task(name: str) -> bool:
    return not name.endswith("-driver") and name.partition("(")[0] not in _GRAPH_NODES


def _task(name: str, detail: Mapping[str, Any]) -> Task:
    began, over = moment(detail.get("start_time")), moment(detail.get("end_time"))
    now = str(detail.get("state") or "PENDING")
    seconds = (over - began).total_seconds() if began and over and now in ENDED else None
    outputs = {key: list(value.get("artifact_ids") or ()) for key, value in (detail.get("outputs") or {}).items()}
    return Task(name, now, seconds, next(_errors_of(detail), ""), outputs)


def _messages(run: Json) -> Iterator[str]:
    """KFP's messages about a run that did not succeed."""
    yield from _errors_of(run)
    for detail in (run.get("run_details") or {}).get("task_details") or ():
        if detail.get("state") == "FAILED":
            yield from _errors_of(detail)


def _errors_of(thing: Mapping[str, Any]) -> Iterator[str]:
    for one in (thing, *reversed(thing.get("state_history") or ())):
        if message := (one.get("error") or {}).get("message"):
            yield " ".join(str(message).split())


def _is_users(message: str) -> bool:
    """Whether a message means that the program itself refused its input."""
    codes = {int(code) for code in _EXIT_CODE.findall(message)}
    return bool(codes & set(USER_EXIT_CODES)) and not _PLATFORM.search(message)
