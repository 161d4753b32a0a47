"""`backfill`: retrains a workload on several spans, in order. Airflow's own backfills go by date; spans are numbered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException

from dags.assets import span_pattern
from dags.defaults import task_defaults
from dags.spans import parse_spans
from spec import home
from spec.workload import WorkloadError, load_workload, workload_names


def build_backfill_dag() -> DAG:
    """The backfill DAG of all workloads: plan -> queue_runs, a run of `retrain_<workload>` for each span."""
    names = workload_names(home.workloads_root())
    with DAG(
        dag_id="backfill",
        description="Retrains a workload on several spans, one after the other",
        schedule=None,
        catchup=False,
        default_args=task_defaults(None),
        params={
            "workload": Param(
                names[0] if names else "", type="string", enum=names or [""], description="Whose retraining."
            ),
            "spans": Param(
                "1", type="string", minLength=1, description="`3-7`, `1,4-6`, or of days `2026-01-01..2026-01-07`."
            ),
        },
        tags=["trainyard", "backfill"],
        doc_md=_DAG_DOC,
        auto_register=False,
    ) as dag:

        @task(doc_md=_PLAN_DOC, retries=1)
        def plan(**context: Any) -> list[dict[str, Any]]:
            params = context["params"]
            return planned(str(params["workload"]), str(params["spans"]), context["run_id"])

        TriggerDagRunOperator.partial(
            task_id="queue_runs",
            # In the order of the spans, and each only once, however often this task is retried.
            max_active_tis_per_dagrun=1,
            skip_when_already_exists=True,
            map_index_template="span {{ task.conf['span'] }}",
            doc_md=_QUEUE_DOC,
            retries=2,
            retry_delay=timedelta(seconds=10),
        ).expand_kwargs(plan())
    return dag


def planned(workload: str, spans: str, run_id: str) -> list[dict[str, Any]]:
    """One retraining per span, oldest first.

    Raises:
        AirflowFailException: there is no such workload, or the spans cannot be read.
    """
    try:
        definition = load_workload(home.workloads_root() / workload)
    except WorkloadError as error:
        raise AirflowFailException(str(error)) from None
    numbers = parse_spans(spans, span_pattern(definition))
    return [
        {
            "trigger_dag_id": f"retrain_{workload}",
            "trigger_run_id": f"backfill__{run_id}__span_{number}",
            "conf": {"span": number},
        }
        for number in numbers
    ]


_DAG_DOC = """\
### Retraining on several spans
Trigger with `{"workload": "taxi", "spans": "3-7"}`: `retrain_taxi` gets one run for each of the spans 3 to 7, which run one after
another, oldest first. Releases are deployed as usual. A span that fails does not hold up the next one.

**To stop it:** mark the queued runs of `retrain_<workload>` failed.
"""
_PLAN_DOC = """\
Reads the run's `workload` and `spans` parameters.
**If it fails:** its last log line says what is wrong with them; correct it and trigger again.
"""
_QUEUE_DOC = """\
Queues a run of `retrain_<workload>` for a span. A run that already exists is left alone.
**If it fails:** the DAG is paused or broken (see Airflow's import errors). Fix that, then clear the task.
"""
