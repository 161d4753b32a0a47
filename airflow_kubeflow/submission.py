"""Submits a run exactly once.

A run carries a key in its display name, made from the task instance and its series of tries (a series ends when somebody clears
the task). So the next try finds the run that an earlier one started, even if that was killed before it could record the id.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

from airflow_kubeflow import runs
from airflow_kubeflow.api import Json
from airflow_kubeflow.exceptions import KubeflowUnavailable
from airflow_kubeflow.hooks.kubeflow import KubeflowHook

_LONGEST_NAME = 128  # of a run in KFP
_OVER = ("FAILED", "CANCELED", "CANCELING", "SKIPPED")


@dataclasses.dataclass(frozen=True)
class Submission:
    """What one try wants to run.

    Attributes:
        hook: connects to KFP.
        experiment_id: the experiment to run it in.
        key: see above.
        body: `V2beta1Run` of KFP's API.
        say: receives lines for the task's log.
        note: receives the run's id as soon as there is one.
    """

    hook: KubeflowHook
    experiment_id: str
    key: str
    body: Json
    say: Callable[[str], None]
    note: Callable[[str], None]

    def once(self) -> Json:
        """The existing run, if it has not failed, else a new one.

        Raises:
            KubeflowUnavailable: KFP does not answer. The next try finds the run if it was started.
            KubeflowUserError: KFP refuses.
        """
        if found := self.usable():
            return self._attached(found[0])
        try:
            created = self.hook.create_run(self.body)
        except KubeflowUnavailable as error:
            if not error.sent:
                raise
            self.say(f"{error} Looking whether the run was started.")
            if not (found := self.usable()):
                raise
            return self._attached(found[0])
        self.note(str(created["run_id"]))
        return self._alone(created)

    def usable(self) -> list[Json]:
        """Runs of this series that are in progress or have succeeded, newest first."""
        return [run for run in self.hook.find_runs(self.experiment_id, self.key) if usable(run)]

    def _alone(self, created: Json) -> Json:
        """The run to continue with: an earlier request may have taken effect after we looked.

        The oldest run stays, so that two workers with the same task, one of them presumed dead, agree.
        """
        try:
            found = self.usable()
        except KubeflowUnavailable:
            return created
        if all(run["run_id"] != created["run_id"] for run in found):
            found = [created, *found]
        *doubles, oldest = found
        if not doubles:
            return created
        for double in doubles:
            self.say(f"Run {double['run_id']} is a second one for this task; it is terminated.")
            self.hook.terminate_run(str(double["run_id"]))
        return self._attached(oldest)

    def _attached(self, run: Json) -> Json:
        self.say(f"Run {run['run_id']} was started by an earlier try; it is watched on.")
        self.note(str(run["run_id"]))
        return run


def usable(run: Json) -> bool:
    """Whether a try may continue with a run: it is in progress or has succeeded."""
    return runs.state(run) not in _OVER


def key_of(context: Any) -> str:
    """The key of a task instance and its series of tries.

    `max_tries` grows when somebody clears the task, but not with retries.
    """
    ti, dag_run = context["ti"], context["dag_run"]
    map_index = -1 if ti.map_index is None else ti.map_index
    # Two Airflows with the same DAG may share one KFP: the start time of the DAG run tells them apart.
    named = [ti.dag_id, ti.run_id, ti.task_id, map_index, ti.max_tries, str(dag_run.start_date)]
    return f"airflow-{hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]}"


def display_name(name: str, key: str) -> str:
    """A run's display name, with its key.

    Example:
        >>> display_name("taxi, 2026-11-21", "airflow-3f9c2a71d0b84e55")
        'taxi, 2026-11-21 (airflow-3f9c2a71d0b84e55)'
    """
    return f"{name[: _LONGEST_NAME - len(key) - 3]} ({key})"
