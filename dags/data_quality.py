"""`data_quality_<workload>`: a daily look at the newest data, whether or not anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, Param, task

from dags import alerts
from dags.alerts import Severity
from dags.assets import new_data, quality_report, span_pattern
from dags.defaults import clock, pipeline_task, workload_dag
from dags.operators import DATA_GATES, PipelineRunOperator
from dags.release import report_links
from dags.skips import skipped
from dags.spans import parse_span
from landing import has_spans, locations, newest_finished
from pipelines.workload import Workload


def build_data_quality_dag(workload: Workload) -> DAG:
    """The data-quality DAG of a workload: newest_span -> check_data -> publish_report."""
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

        check = PipelineRunOperator(
            task_id="check_data",
            workload=workload.name,
            span=newest_span(),
            until=DATA_GATES,
            inlets=[data],
            doc_md=_CHECK_DOC,
            **pipeline_task(workload),
        )
        publish_report(check.output)
    return dag


def span_to_check(workload: Workload, asked: Any) -> int | None:
    """The span asked for, else the newest that is whole.

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
    """What the quality report's asset event says."""
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
would. What it reads is kept: a retraining on the same span takes it from the cache. **Answers for it:** {owner}.

| What you see | What it means |
| --- | --- |
| all green | Schema and expectations hold; `check_data`'s log names the report. |
| `check_data` red | They do not: the next retraining on this data would stop at the same place. |
| `newest_span` skipped | No data has landed yet. |
"""
_SPAN_DOC = """\
Chooses the newest span that is whole, or the run's `span` parameter.
**If it is skipped:** nothing has landed yet. **If it fails:** the landing place cannot be listed; its log says why.
"""
_CHECK_DOC = """\
Runs the pipeline as far as its gates on data: ExampleValidator (schema), DataQuality (Great Expectations) and DriftDetector.
**If it fails and does not retry:** its log has the findings and the report. Whoever delivers the data can tell more.
**If it waits for a retraining:** both use one cache, one after the other; it goes on when that has ended.
"""
_PUBLISH_DOC = """\
Announces the report (the quality-report asset), with the gates' verdicts and the place of the Data Docs.
**If it fails:** Airflow's API is away; clear it.
"""
