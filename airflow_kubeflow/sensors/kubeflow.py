"""Waits for runs that somebody else started."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue

from airflow_kubeflow import outcome, runs
from airflow_kubeflow.api import Json
from airflow_kubeflow.exceptions import KubeflowUnavailable
from airflow_kubeflow.hooks.kubeflow import KubeflowHook
from airflow_kubeflow.links.kubeflow import XCOM_UI, KubeflowRunLink
from airflow_kubeflow.triggers.kubeflow import KubeflowRunTrigger


class KubeflowRunSensor(BaseSensorOperator):
    """Waits until a run on Kubeflow has succeeded, and fails if it failed. It never terminates the run.

    Args:
        run_id: KFP's id (templated).
        patience: seconds for which KFP may fail to answer.
        kubeflow_conn_id: the connection.
        deferrable: whether to wait in the triggerer.

    Example:
        >>> KubeflowRunSensor(task_id="wait", run_id="{{ dag_run.conf['run_id'] }}", poke_interval=30)  # doctest: +SKIP
    """

    template_fields: Sequence[str] = ("run_id",)
    operator_extra_links = (KubeflowRunLink(),)
    ui_color = "#e3ecfa"

    def __init__(
        self,
        *,
        run_id: str,
        patience: float = 600.0,
        kubeflow_conn_id: str = KubeflowHook.default_conn_name,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.patience = patience
        self.kubeflow_conn_id = kubeflow_conn_id
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Looks once, and waits in the triggerer if the run has not ended."""
        with KubeflowHook(self.kubeflow_conn_id) as hook:
            context["ti"].xcom_push(key=XCOM_UI, value=hook.link(self.run_id))
        if not self.deferrable:
            return super().execute(context)
        if (seen := self.poke(context)).is_done:
            return seen.xcom_value
        return self.defer(
            trigger=KubeflowRunTrigger(
                kubeflow_conn_id=self.kubeflow_conn_id,
                run_id=self.run_id,
                poll_interval=self.poke_interval,
                patience=self.patience,
                terminate_on_kill=False,
            ),
            timeout=datetime.timedelta(seconds=self.timeout),
            method_name="execute_complete",
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Whether the run has succeeded. If KFP does not answer, the next poll may tell."""
        with KubeflowHook(self.kubeflow_conn_id) as hook:
            try:
                run = hook.get_run(self.run_id)
            except KubeflowUnavailable as error:
                self.log.info("%s Asked again.", error)
                return PokeReturnValue(is_done=False)
            link = hook.link(self.run_id)
        if not runs.ended(run):
            return PokeReturnValue(is_done=False)
        seen = {"kind": "ended", "run": runs.summary(run, link)}
        return PokeReturnValue(is_done=True, xcom_value=outcome.result(seen))

    def execute_complete(self, context: Context, event: Json) -> Json:
        """Continues with what the trigger saw; starts over if that was another run (see KubeflowPipelineRunOperator)."""
        if event.get("run_id", self.run_id) != self.run_id:
            return self.execute(context)
        return outcome.result(event)
