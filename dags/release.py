"""The end of a retraining: announces to Airflow what was released."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, BaseOperator, Context

from dags import alerts
from dags.alerts import Severity
from dags.links import report_links
from dags.operators import PipelineRunOperator, tried_before
from dags.skips import skipped
from dags.spans import settle
from spec.workload import Workload


class ReleaseOperator(PipelineRunOperator):
    """Announces what the `train` task has released. It runs the pipeline again, which finds nothing to do within half a second.

    Args:
        data: its data's asset, whose spans this run has processed.
        released: the asset that announces the release.
    """

    def __init__(self, *, definition: Workload, data: Asset, released: Asset, **kwargs: Any) -> None:
        super().__init__(workload=definition.name, inlets=[data], outlets=[released], **kwargs)
        self.definition, self.data, self.released = definition, data, released

    def execute(self, context: Context) -> dict[str, Any]:
        outcome = super().execute(context)
        announce(self, context, outcome)
        return outcome


def announce(task: BaseOperator, context: Mapping[str, Any], outcome: dict[str, Any]) -> None:
    """Announces a run's release to Airflow.

    Args:
        task: with `definition`, `data` and `released`.

    Raises:
        AirflowSkipException: the run released nothing, or nothing new; the message says why.
    """
    definition: Workload = task.definition
    settle(definition, task.data, context, outcome.get("span"))
    # A skipped task returns nothing, but its outcome should still be visible.
    context["ti"].xcom_push(key="return_value", value=outcome)
    if not outcome.get("release"):
        reasons = "; ".join(outcome.get("reasons") or []) or "the run gave no reason"
        alerts.send(definition, "trained and not released", reasons, Severity.WARNING)
    extra = release_event(outcome)
    context["outlet_events"][task.released].extra = extra
    alerts.send(definition, f"released version {extra['version']}", f"Run {extra['run_id']}", Severity.INFO)


def release_event(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the released-model asset's event.

    Raises:
        AirflowSkipException: the run released nothing; the message says why.
    """
    release = outcome.get("release")
    if not release:
        reasons = "; ".join(outcome.get("reasons") or []) or "the run gave no reason"
        raise skipped(f"{outcome['workload']}: nothing was released: {reasons}")
    version = int(release["version"])
    # A run on unchanged data ends with the same release as before. Announcing it again would redeploy what somebody rolled
    # back yesterday.
    if tried := tried_before(outcome["workload"], version):
        raise skipped(
            f"{outcome['workload']}: version {version} is no news: {tried}. deploy_* deploys it again by hand"
        )
    return {
        "workload": outcome["workload"],
        "version": version,
        "uri": release.get("uri"),
        "run_id": outcome.get("run_id"),
        "metrics": outcome.get("metrics"),
        "reports": report_links(outcome.get("reports") or {}),
    }
