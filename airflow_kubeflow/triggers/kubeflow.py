"""Waits for a remote run in the triggerer, which keeps the module in memory: restart it after a change."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_kubeflow.exceptions import KubeflowUnavailable, KubeflowUserError
from airflow_kubeflow.hooks.kubeflow import KubeflowHook
from airflow_kubeflow.watch import Watch

_ENDING: set[asyncio.Task[None]] = set()
"""Runs that are being terminated: asyncio only keeps weak references to its tasks."""


class KubeflowRunTrigger(BaseTrigger):
    """Fires once, when a remote run has ended or there is no point in waiting any longer.

    Its whole state is in its arguments and in KFP, so another triggerer can take over after a crash. The arguments are stored in
    Airflow's database: they name the connection and contain no token.

    Args:
        kubeflow_conn_id: the connection.
        run_id: KFP's id.
        poll_interval: seconds between polls.
        deadline: when the run must have ended, in ISO 8601; it is terminated then. None: never.
        patience: seconds for which KFP may fail to answer.
        terminate_on_kill: whether the remote run ends when somebody ends or clears the waiting task.
    """

    def __init__(
        self,
        kubeflow_conn_id: str,
        run_id: str,
        poll_interval: float = 10.0,
        deadline: str | None = None,
        patience: float = 600.0,
        terminate_on_kill: bool = True,
    ) -> None:
        super().__init__()
        self.kubeflow_conn_id = kubeflow_conn_id
        self.run_id = run_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.patience = patience
        self.terminate_on_kill = terminate_on_kill
        self._fired = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class's path and the arguments to recreate this trigger."""
        names = ("kubeflow_conn_id", "run_id", "poll_interval", "deadline", "patience", "terminate_on_kill")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Polls the run until it ends."""
        deadline = datetime.datetime.fromisoformat(self.deadline) if self.deadline else None
        watch = Watch(self.log.info, self.poll_interval, deadline, self.patience)
        hook = KubeflowHook(self.kubeflow_conn_id)
        try:
            while (event := await self._look(hook, watch)) is None:
                await asyncio.sleep(watch.pause)
        finally:
            await hook.aclose()
        self._fired = True  # whatever cancels the trigger from now on, its run must not be terminated
        yield TriggerEvent({**event, "run_id": self.run_id})

    async def _look(self, hook: KubeflowHook, watch: Watch) -> dict[str, Any] | None:
        try:
            run = await hook.aget_run(self.run_id)
            event = watch.seen(run, (await hook.asettings()).link(self.run_id))
            if event is None and watch.overdue:
                await hook.aterminate_run(self.run_id)
                return watch.terminated(self.run_id)
            return event
        except KubeflowUnavailable as error:
            return watch.missed(error)
        except KubeflowUserError as error:
            await hook.aclose()  # the connection is read again: its token may have been renewed
            return watch.refused(error)

    async def on_kill(self) -> None:
        """Terminates the remote run, because somebody has ended or cleared the task.

        Airflow 3.3 cancels this coroutine too, about once a second, so the work is done in a separate task.
        """
        if self._fired or not self.terminate_on_kill:
            return
        ending = asyncio.create_task(self._terminate())
        _ENDING.add(ending)
        ending.add_done_callback(_ENDING.discard)
        await asyncio.shield(ending)

    async def _terminate(self) -> None:
        """Terminates the remote run, unless another triggerer has taken over, in which case the task is still deferred."""
        hook = KubeflowHook(self.kubeflow_conn_id)
        try:
            if await asyncio.to_thread(self._still_deferred):
                return
            await hook.aterminate_run(self.run_id)
            self.log.info("Terminated Kubeflow run %s.", self.run_id)
        except Exception as error:
            self.log.error("Kubeflow run %s could not be terminated; end it in Kubeflow. %s", self.run_id, error)
        finally:
            await hook.aclose()

    def _still_deferred(self) -> bool:
        task = self.task_instance
        if task is None:
            return False
        states = RuntimeTaskInstance.get_task_states(
            dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
        )
        key = task.task_id if task.map_index is None or task.map_index < 0 else f"{task.task_id}_{task.map_index}"
        return str(states.get(task.run_id, {}).get(key)) == "deferred"
