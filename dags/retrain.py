"""`retrain_<workload>`: new data, or the clock, becomes a trained, judged and perhaps released model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param, task

from dags.assets import Landing, landing_of, new_data, released_model
from dags.operators import PipelineRunOperator
from dags.skips import skipped
from dags.triggers import encode_spans, spans_in
from pipelines import home
from pipelines.workload import Workload, WorkloadError

HANDLED_BY = "handled_by_run_span_"


def build_retrain_dag(workload: Workload) -> DAG:
    """The retraining DAG of a workload: resolve_span -> run_pipeline -> publish_outcome."""
    data, released = new_data(workload), released_model(workload)
    dag = DAG(
        dag_id=f"retrain_{workload.name}",
        description=f"Retrains {workload.name} and releases what passes its gates",
        schedule=schedule_of(workload, data),
        # No start date: with one, Airflow would at once make up for the last tick of the clock.
        catchup=False,
        max_active_runs=1,
        default_args={"owner": workload.owner, "retries": 2, "retry_delay": timedelta(seconds=10)},
        params={
            "span": Param(None, type=["null", "integer"], minimum=0, description="Span to train on. Empty: the newest.")
        },
        tags=["trainyard", "retrain", workload.task.value],
        doc_md=_DAG_DOC.format(workload=workload.name, description=workload.description, owner=workload.owner),
        auto_register=False,
    )
    landing, window = landing_of(workload), workload.data.window
    with dag:

        @task(inlets=[data], execution_timeout=timedelta(minutes=2), doc_md=_RESOLVE_DOC)
        def resolve_span(**context: Any) -> int | None:
            asked = (context.get("params") or {}).get("span")
            events = arrived_spans(context.get("triggering_asset_events") or {})
            return choose_span(asked, events, _handled_elsewhere(context, data, events), landing, window)

        @task(outlets=[released], inlets=[data], execution_timeout=timedelta(minutes=2), doc_md=_PUBLISH_DOC)
        def publish_outcome(outcome: dict[str, Any], **context: Any) -> dict[str, Any]:
            for span in arrived_spans(context.get("triggering_asset_events") or {}):
                context["asset_state_store"][data].set(f"{HANDLED_BY}{span}", context["run_id"])
            extra = release_event(outcome)
            context["outlet_events"][released].extra = extra
            return extra

        run = PipelineRunOperator(
            task_id="run_pipeline",
            workload=workload.name,
            span=resolve_span(),
            retries=workload.schedule.retries,
            retry_delay=timedelta(seconds=30),
            retry_exponential_backoff=True,
            max_retry_delay=timedelta(minutes=10),
            execution_timeout=timedelta(minutes=workload.schedule.timeout_minutes),
            doc_md=_RUN_DOC,
        )
        publish_outcome(run.output)
    return dag


def schedule_of(workload: Workload, data: Asset) -> Any:
    """When to retrain: by cron, on new data, on either, or by hand only."""
    watched = [data] if workload.schedule.on_new_data and data.watchers else []
    if workload.schedule.cron is None:
        return watched or None
    clock = CronTriggerTimetable(workload.schedule.cron, timezone="UTC")
    _check_cron(workload)
    return AssetOrTimeSchedule(timetable=clock, assets=watched) if watched else clock


def arrived_spans(triggering: Mapping[Any, Iterable[Any]]) -> set[int]:
    """The spans that the asset events of this run speak of; a watcher's event carries them in its payload."""
    spans: set[int] = set()
    for events in triggering.values():
        for event in events:
            extra = event.extra or {}
            payload = extra.get("payload", extra)
            if isinstance(payload, dict):
                spans.update(int(span) for span in payload.get("spans") or [])
    return spans


def choose_span(
    asked: int | None, arrived: set[int], handled: set[int], landing: Landing | None, window: int
) -> int | None:
    """The span to train on: the one asked for, else the newest that lies in the landing folder.

    Returns:
        None when there is no landing folder to look into, or it is empty: the pipeline then decides.

    Raises:
        AirflowSkipException: the data that triggered this run changes no training.
    """
    if asked is not None:
        return asked
    present = spans_in(landing.folder, landing.pattern) if landing else set()
    newest = max(present | arrived, default=None)
    if arrived and newest is not None:
        if arrived <= handled:
            raise skipped(f"span {encode_spans(arrived)} was trained on before; nothing is new")
        if max(arrived) <= newest - window:
            raise skipped(
                f"span {encode_spans(arrived)} arrived late: the newest is {newest}, training looks at {window} span(s)"
            )
    return newest


def release_event(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What the released-model asset's event says.

    Raises:
        AirflowSkipException: the run released nothing; the message says why.
    """
    release = outcome.get("release")
    if not release:
        reasons = "; ".join(outcome.get("reasons") or []) or "the run gave no reason"
        raise skipped(f"{outcome['workload']}: nothing was released: {reasons}")
    version = int(release["version"])
    # A run on unchanged data comes to the release that it came to before. Announced again, the clock would deploy anew what
    # a person rolled back yesterday.
    if tried := _tried_before(outcome["workload"], version):
        raise skipped(
            f"{outcome['workload']}: version {version} is no news: {tried}. deploy_* deploys it again by hand"
        )
    return {
        "workload": outcome["workload"],
        "version": version,
        "uri": release.get("uri"),
        "run_id": outcome.get("run_id"),
        "metrics": outcome.get("metrics"),
        "reports": outcome.get("reports"),
    }


def _tried_before(model: str, version: int) -> str:
    """What has been done with a release since it was published, in words; empty for a new one."""
    from model_store import ModelStore

    moved = [e for e in ModelStore(home.store_uri()).history(model) if e.version == version and e.action != "publish"]
    return f"{moved[-1].action} at {moved[-1].at[:19]} ({moved[-1].reason})" if moved else ""


def _check_cron(workload: Workload) -> None:
    from airflow.timetables.trigger import CronTriggerTimetable as CoreTimetable

    try:
        CoreTimetable(str(workload.schedule.cron), timezone="UTC").validate()
    except Exception as error:
        path = home.workloads_root() / workload.name / "workload.yaml"
        raise WorkloadError(
            f"{path}, field schedule.cron: not a cron expression ({error}). Received: {workload.schedule.cron!r}."
        ) from None


def _handled_elsewhere(context: Mapping[str, Any], data: Asset, spans: Iterable[int]) -> set[int]:
    """The spans that another run has handled: clearing a run's tasks must train again, a repeated event must not."""
    stores = context.get("asset_state_store")
    if stores is None:
        return set()
    return {span for span in spans if stores[data].get(f"{HANDLED_BY}{span}") not in (None, context["run_id"])}


_DAG_DOC = """\
### {workload}
{description}

Trains on the newest span, passes it through the gates (schema, data quality, evaluation against thresholds and the
champion, load-and-predict) and releases what passes. A release starts `deploy_{workload}`.

**Run by hand:** Trigger, with `{{"span": 2}}` for a certain span. **Answers for it:** {owner}.

| What you see | What it means |
| --- | --- |
| `publish_outcome` skipped | The model was trained and not released. The reason is the last line of its log. |
| `run_pipeline` failed at once, no retry | The data or the workload needs mending: the log's last line says where. |
| `run_pipeline` up for retry | The machine's fault (killed, disk, memory). Finished components are not done again. |
| `resolve_span` skipped | The span was handled before, or arrived too late to matter. |
"""
_RESOLVE_DOC = """\
Chooses the span: the run's `span` parameter, else the newest in the landing folder.
**If it skips:** its log says why nothing needs training. To train all the same, trigger with `{"span": n}`.
"""
_RUN_DOC = """\
Runs the TFX pipeline in the pipelines environment (`./trainyard run`), one component after the other.
**If it failed and does not retry:** read the last log line; mend the data, schema or workload.yaml, then clear it.
**If it retries:** it resumes; components that finished are taken from the cache. **To stop it:** mark it failed.
The run's report is named at the end of the log.
"""
_PUBLISH_DOC = """\
Announces the release to Airflow (the released-model asset), which starts the deployment.
**If it is skipped:** the model was not released; the message gives the reasons with figures.
"""
