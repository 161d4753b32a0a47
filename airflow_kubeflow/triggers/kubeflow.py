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
"""Runs that are being terminated: asyncio itself holds its tasks weakly."""


class KubeflowRunTrigger(BaseTrigger):
    """Fires once, when a remote run has ended or cannot be waited for any longer.

    What it knows is in its arguments and in KFP, so it goes on in another triggerer after a crash. Its arguments are
    stored in Airflow's database: they name the connection and hold no token.

    Args:
        kubeflow_conn_id: The connection.
        run_id: Of KFP.
        poll_interval: Seconds between two looks.
        deadline: When the run must have ended, in ISO 8601; at that time it is terminated. None: never.
        patience: Seconds that KFP may be away.
        terminate_on_kill: Whether the remote run ends when a person ends or clears the waiting task.
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
        """The class's path and the arguments that make this trigger again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "kubeflow_conn_id": self.kubeflow_conn_id,
            "run_id": self.run_id,
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
            "patience": self.patience,
            "terminate_on_kill": self.terminate_on_kill,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Looks at the run until it ends."""
        deadline = datetime.datetime.fromisoformat(self.deadline) if self.deadline else None
        watch = Watch(self.log.info, self.poll_interval, deadline, self.patience)
        hook = KubeflowHook(self.kubeflow_conn_id)
        try:
            while (event := await self._look(hook, watch)) is None:
                await asyncio.sleep(watch.pause)
        finally:
            await hook.aclose()
        self._fired = True  # whatever cancels the trigger now, its run is not to be terminated
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
        """Terminates the remote run: a person has ended or cleared the task.

        Airflow 3.3 cancels this coroutine too, again at every turn of its loop of about a second: the work goes on in a
        task of its own.
        """
        if self._fired or not self.terminate_on_kill:
            return
        ending = asyncio.create_task(self._terminate())
        _ENDING.add(ending)
        ending.add_done_callback(_ENDING.discard)
        await asyncio.shield(ending)

    async def _terminate(self) -> None:
        """Terminates the remote run, unless it is another triggerer's now: then the task is still deferred."""
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
