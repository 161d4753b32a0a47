"""`retrain_<workload>`: new data, or the clock, becomes a trained, judged and perhaps released model."""

from __future__ import annotations

import importlib.util
import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, Param, PokeReturnValue, task

from dags import alerts, kubeflow
from dags.assets import new_data, released_model
from dags.defaults import clock, pipeline_task, workload_dag
from dags.gates import add_gates
from dags.operators import PipelineRunOperator
from dags.release import ReleaseOperator
from dags.spans import find_span
from pipelines import home
from pipelines.workload import Workload, WorkloadError

RUNNER = "TRAINYARD_RUNNER"
"""Environment variable: where pipelines run, `local` or `kubeflow`, for workloads that do not say."""


def build_retrain_dag(workload: Workload) -> DAG:
    """The retraining DAG of a workload: resolve_span -> read_data -> the gates on data -> train -> release."""
    data, released = new_data(workload), released_model(workload)
    with workload_dag(
        workload,
        "retrain",
        "retrain",
        description=f"Retrains {workload.name} and releases what passes its gates",
        schedule=schedule_of(workload, data),
        deadline=alerts.retrain_deadline(workload),
        params={
            "span": Param(
                None,
                type=["null", "integer", "string"],
                description="Span to train on: a number, or a day (2026-01-31) where spans are days. Empty: the newest.",
            )
        },
        doc_md=_DAG_DOC.format(workload=workload.name, description=workload.description, owner=workload.owner),
    ) as dag:
        span = span_sensor(workload, data)
        if runner_of(workload) == "kubeflow":
            kubeflow.add_tasks(workload, span, data, released)
        else:
            _add_tasks(workload, span, data, released)
    return dag


def span_sensor(workload: Workload, data: Asset) -> Any:
    """The task that chooses the span and waits until it is whole, without a worker in between."""

    @task.sensor(
        task_id="resolve_span",
        mode="reschedule",
        poke_interval=30,
        timeout=timedelta(minutes=workload.schedule.timeout_minutes).total_seconds(),
        inlets=[data],
        doc_md=_RESOLVE_DOC,
    )
    def resolve_span(**context: Any) -> PokeReturnValue:
        return find_span(workload, data, context)

    return resolve_span()


def runner_of(workload: Workload) -> str:
    """Where the workload's pipeline runs: `local` or `kubeflow`."""
    named = workload.schedule.runner or os.environ.get(RUNNER) or "local"
    if named not in ("local", "kubeflow"):
        raise WorkloadError(f"{RUNNER}: expected local or kubeflow. Received: {named!r}")
    if named == "kubeflow" and importlib.util.find_spec("airflow_kubeflow.operators") is None:
        path = home.workloads_root() / workload.name / "workload.yaml"
        raise WorkloadError(
            f"{path}, field schedule.runner: Airflow's provider for Kubeflow (airflow_kubeflow) is not installed beside it. "
            "Install it, or use the runner local."
        )
    return named


def schedule_of(workload: Workload, data: Asset) -> Any:
    """When to retrain: by cron, on new data, on either, or by hand only."""
    watched = [data] if workload.schedule.on_new_data and data.watchers else []
    if workload.schedule.cron is None:
        return watched or None
    ticks = clock(workload, workload.schedule.cron, "schedule.cron")
    return AssetOrTimeSchedule(timetable=ticks, assets=watched) if watched else ticks


def _add_tasks(workload: Workload, span: Any, data: Asset, released: Asset) -> None:
    run = pipeline_task(workload)
    _, gates = add_gates(workload, span, data, skip_if_unchanged=True)
    train = PipelineRunOperator(
        task_id="train", workload=workload.name, span_of=span.operator.task_id, doc_md=_TRAIN_DOC, **run
    )
    release = ReleaseOperator(
        task_id="release",
        definition=workload,
        span_of=span.operator.task_id,
        data=data,
        released=released,
        doc_md=_RELEASE_DOC,
        **run,
    )
    gates >> train >> release


_DAG_DOC = """\
### {workload}
{description}

Trains on the newest span, passes it through the gates (schema, data quality, evaluation against thresholds and the
champion, load-and-predict) and releases what passes. A release starts `deploy_{workload}`.

**Run by hand:** Trigger, with `{{"span": 2}}` for a certain span. Several spans in turn: the DAG `backfill`.
**Answers for it:** {owner}.

| What you see | What it means |
| --- | --- |
| `release` skipped | The model was trained and not released. The reason is the last line of its log. |
| `check_schema`, `check_quality`, `check_drift` failed | That gate refused the data. Its log has the findings, its page the rows. |
| `read_data` failed | The data could not be looked at: its log's last line says why. |
| `read_data` skipped | Data, code, contracts and champion are those of an earlier run: nothing to train. |
| `train` failed at once, no retry | Data or workload need mending: the log's last line says where. |
| any task up for retry | The machine's fault (killed, disk, memory). Finished components are not done again. |
| `resolve_span` up for reschedule | It waits until the span is whole; its log says what is missing. |
| `resolve_span` skipped | The span was handled before, or arrived too late to matter. |
"""
_RESOLVE_DOC = """\
Chooses the span: the run's `span` parameter, else the newest that is whole. Waits for one that is being written.
**If it skips:** its log says why nothing needs training. To train all the same, trigger with `{"span": n}`.
**If it waits for long:** a job left `_temporary` or a `.part` file behind, or forgot `_SUCCESS`. Its log names it.
"""
_TRAIN_DOC = """\
Transforms, trains, evaluates against thresholds and the champion, loads the model and asks it for predictions, and publishes it
in the model store if every gate blessed it. What `read_data` did comes from the cache.
**If it failed and does not retry:** read the last log line; mend the data, features.py, model.py or workload.yaml, clear it.
**If it retries:** it resumes; components that finished are taken from the cache. **To stop it:** mark it failed.
Green says that it was judged, not that it passed: `release` tells.
"""
_RELEASE_DOC = """\
Says what came of it, and announces a release (the released-model asset), which starts the deployment. Its run of the pipeline
finds nothing to do.
**If it is skipped:** the model was not released; the last line gives the reasons with figures.
**If it fails:** the model store cannot be read (its log names the path). Clear it when that is mended; nothing is trained again.
"""
