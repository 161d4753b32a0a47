"""What all tasks have in common: owner, retries, timeout and alerts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable

from dags import alerts
from spec import home
from spec.words import one_line
from spec.workload import Workload, WorkloadError

log = logging.getLogger(__name__)


def workload_dag(workload: Workload, kind: str, tag: str, **settings: Any) -> DAG:
    """`<kind>_<workload>`: one run at a time, no catch-up, and tags to find it by.

    It has no start date: with one, Airflow would immediately run for the last tick of the clock.
    """
    return DAG(
        dag_id=f"{kind}_{workload.name}",
        catchup=False,
        max_active_runs=1,
        tags=["trainyard", tag, workload.task, workload.name],
        auto_register=False,
        **{"default_args": task_defaults(workload), **settings},
    )


def task_defaults(workload: Workload | None) -> dict[str, Any]:
    """`default_args` of a DAG: owner, retries, timeout and callbacks."""
    return {
        "owner": workload.owner if workload else "ml-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(minutes=5),
        "on_failure_callback": [alerts.task_failed(workload)],
        "on_retry_callback": [tell_retry],
    }


def pipeline_task(workload: Workload) -> dict[str, Any]:
    """What tasks that run a pipeline use instead: the retries and timeout of workload.yaml."""
    return {
        "retries": workload.schedule.retries,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=workload.schedule.timeout_minutes),
    }


def clock(workload: Workload, cron: str, field: str) -> CronTriggerTimetable:
    """A timetable in the workload's time zone.

    Raises:
        WorkloadError: not a cron expression; the message names file and field.
    """
    zone = workload.schedule.timezone
    if problem := _cron_problem(cron, zone):
        path = home.workloads_root() / workload.name / "workload.yaml"
        raise WorkloadError(f"not a cron expression ({problem}). Received: {cron!r}.", file=path, field=field)
    return CronTriggerTimetable(cron, timezone=zone)


def check_clocks(workload: Workload) -> None:
    """Raises WorkloadError for the first of a workload's schedules that is not a cron expression."""
    for field, cron in (
        ("schedule.cron", workload.schedule.cron),
        ("schedule.quality_cron", workload.schedule.quality_cron),
        ("batch.cron", workload.batch.cron),
        ("monitoring.cron", workload.monitoring.cron),
    ):
        if cron is not None:
            clock(workload, cron, field)


@cache
def _cron_problem(cron: str, zone: str) -> str:
    from airflow.timetables.trigger import CronTriggerTimetable as CoreTimetable

    try:
        CoreTimetable(cron, timezone=zone).validate()
    except Exception as error:
        return one_line(error)
    return ""


def tell_retry(context: Mapping[str, Any]) -> None:
    """Logs why a try failed that will be retried; the last failure is an alert."""
    error = one_line(context.get("exception") or "no reason was given", 400)
    log.warning(
        "Try %s of %s failed and is followed by another: %s", context["ti"].try_number, context["ti"].task_id, error
    )
