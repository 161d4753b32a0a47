"""`housekeeping`: deletes old runs, artifacts, metadata and releases; a dry run unless the site says otherwise."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Context, CronTriggerTimetable, Param, task

from dags.defaults import task_defaults
from dags.operators import TrainyardOperator
from dags.skips import skipped
from spec import environment as env

_LIMITS = (
    ("keep_runs", 1, "How many of each workload's newest runs to keep. Empty: the site's setting."),
    ("keep_days", 1, "Keep whatever is younger than this. Empty: the site's setting."),
    ("keep_releases", 2, "How many of each model's newest releases to keep. Empty: the site's setting."),
)


def build_housekeeping_dag() -> DAG:
    """The site's housekeeping: find_old -> confirm -> delete_old."""
    with DAG(
        dag_id="housekeeping",
        description="Retention of runs, artifacts, metadata and releases",
        schedule=CronTriggerTimetable("30 4 * * 0", timezone="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args=task_defaults(None),
        params={
            "dry_run": Param(
                os.environ.get(env.HOUSEKEEPING) != "delete",
                type="boolean",
                description="Only report what would be deleted.",
            ),
            # Their defaults are those of `trainyard housekeeping`.
            **{
                name: Param(None, type=["null", "integer"], minimum=least, description=text)
                for name, least, text in _LIMITS
            },
        },
        tags=["trainyard", "housekeeping"],
        doc_md=_DAG_DOC,
        auto_register=False,
    ) as dag:
        _add_tasks()
    return dag


def _add_tasks() -> None:
    find = HousekeepingOperator(
        task_id="find_old",
        arguments=["housekeeping", "--json"],
        execution_timeout=timedelta(hours=1),
        doc_md=_FIND_DOC,
    )

    @task(doc_md=_CONFIRM_DOC)
    def confirm(found: dict[str, Any], **context: Any) -> None:
        if context["params"]["dry_run"]:
            raise skipped(
                f"dry run: {found['bytes']:,} bytes in {found['items']} things would go; dry_run=false deletes them"
            )

    delete = HousekeepingOperator(
        task_id="delete_old",
        arguments=["housekeeping", "--yes", "--json"],
        execution_timeout=timedelta(hours=6),
        doc_md=_DELETE_DOC,
    )
    confirm(find.output) >> delete


class HousekeepingOperator(TrainyardOperator):
    """`trainyard housekeeping` with the limits that the run's parameters set."""

    def execute(self, context: Context) -> dict[str, Any]:
        asked = ((name, context["params"].get(name)) for name, _, _ in _LIMITS)
        limits = [f"--{name.replace('_', '-')}={value}" for name, value in asked if value is not None]
        return self.outcome([*self.arguments, *limits])


_DAG_DOC = """\
### Housekeeping
Every Sunday at 04:30 UTC: finds old runs, artifacts, metadata and releases, and old logs and rows of the embedded Airflow.
Labelled releases, the release before stable, and whatever belongs to a release that is kept are never deleted.

This is a **dry run** unless it is triggered with `{"dry_run": false}`, or TRAINYARD_HOUSEKEEPING=delete is set for Airflow.

| What you see | What it means |
| --- | --- |
| `confirm` and `delete_old` skipped | A dry run; `find_old`'s log lists what would go. |
| `delete_old` green | Everything is deleted, except for workloads that were being trained: those are left for next time. |
"""
_FIND_DOC = """\
Lists what is older than the limits: `./trainyard housekeeping`. Deletes nothing.
**If it fails:** its last log line names the file or store that cannot be read.
"""
_CONFIRM_DOC = """\
Decides by the run's `dry_run` parameter whether to go ahead.
**If it is skipped:** it was a dry run; trigger with `{"dry_run": false}` to delete.
"""
_DELETE_DOC = """\
Deletes what was found: `./trainyard housekeeping --yes`. If it is killed half-way, nothing is broken: the next run continues.
**If it fails:** its last log line names what cannot be deleted, mostly for lack of permissions; fix that and clear it.
"""
