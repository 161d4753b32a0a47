"""The messages of a run's failed tasks, from their pods' logs in KFP's API.

KFP's description of a run has the tasks' states, but not the reasons. A log is requested by the name of a pod, which
the description does not have either, but Argo's names can be computed: a node's id is `<workflow>-<hash of the node's name>`, a
pod's name has the template between the two (argo-workflows: workflow/util/pod_name.go), and the ids of all nodes are in the
description (`child_tasks`), so a computed name can be verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MARK = "trainyard: "
"""The line with the reason begins like this; KFP's launcher writes several lines of its own after it."""
GONE = (
    "its pod is gone and left no log: it was deleted (a drained node, spot, eviction, or by hand) or has been cleaned up. "
    "`trainyard runs resume` goes on from what is done"
)
_MOST_ATTEMPTS = 21  # pools.yaml: retries


Pod = tuple[str, str]
"""One attempt of a task: the names by which KFP may know its log, its pod's and its node's id (Argo's POD_NAMES=v1)."""


def pods_of(run: Any, task: str) -> list[Pod]:
    """The attempts of a task, newest first; empty if KFP's description has none.

    Args:
        run: `V2beta1Run`.
        task: its key in the pipeline's file, e.g. `trainer`.
    """
    details = (run.run_details and run.run_details.task_details) or ()
    ids = {child.pod_name for one in details for child in one.child_tasks or () if child.pod_name}
    workflows = {one.rpartition("-")[0] for one in ids}
    if len(workflows) != 1:
        return []
    (workflow,) = workflows
    step = f"{workflow}.root.{task}.executor"
    found = []
    for name in (step, *(f"{step}({attempt})" for attempt in range(_MOST_ATTEMPTS))):
        number = fnv32a(name)
        if f"{workflow}-{number}" in ids:
            found.append((f"{workflow}-{_template(run, task)}-{number}", f"{workflow}-{number}"))
    return found[::-1] if len(found) < 2 else found[:0:-1]  # a step with several attempts is not a pod itself


def message(log: Callable[[str], str | None], pods: list[Pod]) -> str:
    """Why a task failed: its newest attempt's message, else an earlier one's, else that its pod is gone.

    Args:
        log: returns a pod's log by its name, or None.
    """
    logs = [next((text for name in pod if (text := log(name)) is not None), None) for pod in pods]
    newest_is_gone = bool(logs) and logs[0] is None
    if said := next((line for text in logs if text is not None and (line := own_line(text))), ""):
        return f"{said} (an earlier attempt. The newest: {GONE})" if newest_is_gone else said
    if newest_is_gone or not logs:
        return GONE if logs else ""
    last = (logs[0] or "").strip().splitlines()[-1:]
    return f"its log has no line of ours; it ends with: {last[0].strip()}" if last else "its log is empty"


def own_line(log: str) -> str:
    """The last line that begins with `trainyard:`, without that prefix; empty if there is none.

    Example:
        >>> own_line("reading\\ntrainyard: Trainer: out of memory\\nI0101 launcher: exit status 1\\n")
        'Trainer: out of memory'
    """
    found = [line.removeprefix(MARK) for line in log.splitlines() if line.startswith(MARK)]
    return found[-1].strip() if found else ""


def fnv32a(text: str) -> int:
    """32-bit FNV-1a, the hash in Argo's node ids.

    Example:
        >>> fnv32a("foobar")
        3214735720
    """
    number = 0x811C9DC5
    for byte in text.encode():
        number = (number ^ byte) * 0x01000193 % 2**32
    return number


def _template(run: Any, task: str) -> str:
    """The Argo template that KFP's backend generates for a container; its name counts annotations and labels."""
    sent = run.pipeline_spec if isinstance(run.pipeline_spec, Mapping) else {}
    spec = sent.get("pipeline_spec", sent)
    declared = spec.get("root", {}).get("dag", {}).get("tasks", {}).get(task, {})
    name = "system-container-impl"
    if declared.get("retryPolicy"):
        name = f"retry-{name}"
    component = spec.get("components", {}).get(declared.get("componentRef", {}).get("name"), {})
    platforms = sent.get("platform_spec", {}).get("platforms", {})
    executors = platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    metadata = executors.get(component.get("executorLabel"), {}).get("podMetadata")
    if metadata is None:
        return name
    return f"metadata-{len(metadata.get('annotations', {}))}-{len(metadata.get('labels', {}))}-{name}"
