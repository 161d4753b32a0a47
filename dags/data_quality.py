"""`data_quality_<workload>`: a daily check of the newest data, whether or not anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, Param, task

from dags import alerts
from dags.alerts import Severity
from dags.assets import new_data, quality_report, span_pattern
from dags.defaults import clock, workload_dag
from dags.gates import add_gates
from dags.links import report_links
from dags.skips import skipped
from dags.spans import parse_span
from landing import has_spans, locations, newest_finished
from spec.workload import Workload


def build_data_quality_dag(workload: Workload) -> DAG:
    """The data-quality DAG of a workload: newest_span -> read_data -> a task for each gate, and publish_report."""
    data, report = new_data(workload), quality_report(workload)
    cron = workload.schedule.quality_cron
    with workload_dag(
        workload,
        "data_quality",
        "data-quality",
        description=f"Checks {workload.name}'s newest data against schema and expectations",
        schedule=None if cron is None else clock(workload, cron, "schedule.quality_cron"),
        params={
            "span": Param(None, type=["null", "integer", "string"], description="Span to check. Empty: the newest.")
        },
        doc_md=_DAG_DOC.format(workload=workload.name, owner=workload.owner),
    ) as dag:

        @task(inlets=[data], doc_md=_SPAN_DOC)
        def newest_span(**context: Any) -> int | None:
            return span_to_check(workload, (context.get("params") or {}).get("span"))

        @task(outlets=[report], inlets=[data], doc_md=_PUBLISH_DOC)
        def publish_report(outcome: dict[str, Any], **context: Any) -> dict[str, Any]:
            extra = report_event(outcome)
            context["outlet_events"][report].extra = extra
            if warnings := outcome.get("warnings"):
                alerts.send(
                    workload, f"data quality, span {outcome.get('span')}", "\n".join(warnings), Severity.WARNING
                )
            return extra

        # Both the gates and the report are leaves: a refusal is announced, and the run is red.
        read, _ = add_gates(workload, newest_span(), data, trains=False)
        publish_report(read.output)
    return dag


def span_to_check(workload: Workload, asked: Any) -> int | None:
    """The span that was asked for, or the newest complete one.

    Raises:
        AirflowSkipException: nothing has landed yet.
    """
    uri = span_pattern(workload)
    if (span := parse_span(asked, uri)) is not None or not has_spans(uri):
        return span
    newest = newest_finished(locations(uri))
    if newest is None:
        raise skipped(f"{workload.name}: no span has landed at {uri} yet")
    return newest


def report_event(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the quality report's asset event."""
    return {
        "workload": outcome["workload"],
        "span": outcome.get("span"),
        "run_id": outcome.get("same_as") or outcome.get("run_id"),
        "gates": [
            {"gate": gate["gate"], "passes": gate["passes"], "summary": gate["summary"]}
            for gate in outcome.get("gates") or []
        ],
        "warnings": outcome.get("warnings") or [],
        "reports": report_links(outcome.get("reports") or {}),
    }


_DAG_DOC = """\
### Data quality of {workload}
Every day (`schedule.quality_cron`) the newest span is checked against schema.pbtxt and expectations.json, as a retraining
would. Its results are cached: a retraining on the same span reuses them. **Owner:** {owner}.

| What you see | What it means |
| --- | --- |
| all green | The data passed the gates; their logs have the address of the page. |
| `check_schema`, `check_quality`, `check_drift` red | That gate refused the data: a retraining on it would stop there too. |
| `newest_span` skipped | No data has landed yet. |
"""
_SPAN_DOC = """\
Chooses the newest complete span, or the run's `span` parameter.
**If it is skipped:** nothing has landed yet. **If it fails:** the landing folder cannot be listed; the log says why.
"""
_PUBLISH_DOC = """\
Announces what was found (the quality-report asset): the gates' verdicts, good or bad, and the page's address.
**If it fails:** Airflow's API was unreachable; clear it.
"""
