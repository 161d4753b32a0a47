"""`retrain_<workload>`: on new data, or by the clock, trains and judges a model, and releases it if it passes."""

from __future__ import annotations

import importlib.util
import os
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, Context, Param, PokeReturnValue, task

from dags import alerts, kubeflow
from dags.assets import new_data, released_model, span_pattern
from dags.defaults import clock, pipeline_task, workload_dag
from dags.gates import add_gates
from dags.operators import PipelineRunOperator
from dags.release import ReleaseOperator
from dags.skips import skipped
from dags.spans import NEXT, find_span, in_words, ledger_of
from landing import has_spans, locations
from spec import environment as env
from spec import home
from spec.workload import Workload, WorkloadError


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
                description="Span to train on: a number, or a day (2026-01-31) where spans are days. Empty: the next.",
            )
        },
        doc_md=_DAG_DOC.format(workload=workload.name, description=workload.description, owner=workload.owner),
    ) as dag:
        span = span_sensor(workload, data)
        if runner_of(workload) == "kubeflow":
            kubeflow.add_tasks(workload, span, data, released)
        else:
            _add_tasks(workload, span, data, released)
        last = NextSpanOperator(
            task_id="next_span",
            definition=workload,
            data=data,
            trigger_dag_id=dag.dag_id,
            skip_when_already_exists=True,
            doc_md=_NEXT_DOC,
        )
        # A teardown runs however the run ends, and has no say in its state.
        dag.get_task("release") >> last.as_teardown()
    return dag


class NextSpanOperator(TriggerDagRunOperator):
    """Starts another run if there is a span that no run has claimed: Airflow may have merged or lost events."""

    operator_extra_links = ()  # the inherited link needs what a skipped task does not have

    def __init__(self, *, definition: Workload, data: Asset, **kwargs: Any) -> None:
        super().__init__(inlets=[data], **kwargs)
        self.definition, self.data = definition, data

    def execute(self, context: Context) -> None:
        uri = span_pattern(self.definition)
        known = locations(uri) if has_spans(uri) else {}
        ledger = ledger_of(self.definition, self.data, context, known, run_id="")
        span = ledger.next() if ledger else None
        if ledger is None or span is None:
            raise skipped("nothing is left that was not trained on")
        self.log.info("%s was not trained on yet", in_words(span, uri))
        self.trigger_run_id = f"{NEXT}{span}_{ledger.sign(span)}"
        super().execute(context)


def span_sensor(workload: Workload, data: Asset) -> Any:
    """The task that chooses the span and waits until it is complete, without holding a worker slot."""

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
    named = workload.schedule.runner or os.environ.get(env.RUNNER) or "local"
    if named not in ("local", "kubeflow"):
        raise WorkloadError(f"{env.RUNNER}: expected local or kubeflow. Received: {named!r}")
    if named == "kubeflow" and importlib.util.find_spec("airflow_kubeflow.operators") is None:
        path = home.workloads_root() / workload.name / "workload.yaml"
        raise WorkloadError(
            f"{path}, field schedule.runner: Airflow's provider for Kubeflow (airflow_kubeflow) is not installed beside it. "
            "Install it, or use the runner local."
        )
    return named


def schedule_of(workload: Workload, data: Asset) -> Any:
    """When to retrain: by cron, on new data, on either, or only by hand."""
    watched = [data] if workload.schedule.on_new_data and data.watchers else []
    if workload.schedule.cron is None:
        return watched or None
    ticks = clock(workload, workload.schedule.cron, "schedule.cron")
    return AssetOrTimeSchedule(timetable=ticks, assets=watched) if watched else ticks


def _add_tasks(workload: Workload, span: Any, data: Asset, released: Asset) -> None:
    run = pipeline_task(workload)
    _, gates = add_gates(workload, span, data, trains=True)
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

Trains on the next span, puts data and model through the gates (schema, data quality, evaluation against thresholds and the
champion, load-and-predict), and releases the model if it passes. A release starts `deploy_{workload}`.

**To run it by hand:** trigger it, with `{{"span": 2}}` for a particular span. For several spans use the DAG `backfill`.
**Owner:** {owner}.

| What you see | What it means |
| --- | --- |
| `release` skipped | The model was trained but not released. The last line of its log gives the reason. |
| `check_schema`, `check_quality`, `check_drift` failed | That gate refused the data. Its log lists the findings, its page the rows. |
| `read_data` failed | The data could not be read: the last line of its log says why. |
| `read_data` skipped | Data, code, contracts and champion are the same as in an earlier run: there is nothing to train. |
| `train` failed at once, no retry | The data or the workload has to be corrected: the last line of its log says where. |
| any task up for retry | The machine was at fault (killed, disk, memory). Finished components do not run again. |
| `resolve_span` up for reschedule | It is waiting until the span is complete; its log says what is missing. |
| `resolve_span` skipped | The span was trained on before, was refused and has not changed, or is older than everything trained on. |
| `next_span` green | There is another span to train on: a run was started for it. |
"""
_RESOLVE_DOC = """\
Chooses the span: the run's `span` parameter, else the oldest since the first training that has not been trained on (with a
window: the newest span whose window still contains it), else the newest. It goes by what is there, not by events. It waits for a
span that is still being written.
**If it is skipped:** its log says why nothing needs training. To train anyway, trigger with `{"span": n}`.
**If it waits for a long time:** a job left `_temporary` or a `.part` file behind, or forgot `_SUCCESS`. Its log says which.
"""
_NEXT_DOC = """\
Looks once more at what has landed, and starts a run if there is a span that no run has claimed. Refused spans wait until they are
replaced, or until code or contracts change.
**If it is skipped:** nothing is left. **If it fails:** the landing folder cannot be listed, or Airflow's API was away; clear it.
"""
_TRAIN_DOC = """\
Transforms, trains, evaluates against thresholds and the champion, loads the model and asks it for predictions, and publishes it
in the model store if every gate blessed it. What `read_data` did comes from the cache.
**If it failed and does not retry:** read the last log line; correct the data, features.py, model.py or workload.yaml, and clear it.
**If it retries:** it resumes; finished components come from the cache. **To stop it:** mark it failed.
Green means that the model was judged, not that it passed: see `release`.
"""
_RELEASE_DOC = """\
Reports the result and announces a release (the released-model asset), which starts the deployment. It runs the pipeline again,
which finds nothing to do.
**If it is skipped:** the model was not released; the last line gives the reasons with figures.
**If it fails:** the model store cannot be read (its log names the path). Fix that and clear the task; nothing is trained again.
"""
