"""Builds the DAGs of all workloads; one broken workload never takes another down."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from airflow.sdk import DAG, get_parsing_context

from dags import alerts
from dags.backfill import build_backfill_dag
from dags.batch_predict import build_batch_predict_dag
from dags.data_quality import build_data_quality_dag
from dags.defaults import check_clocks
from dags.deploy import build_deploy_dag
from dags.housekeeping import build_housekeeping_dag
from dags.monitor import build_monitor_dag
from dags.retrain import build_retrain_dag, runner_of
from spec import environment as env
from spec import home
from spec.workload import Workload, WorkloadError, load_workload, workload_names

log = logging.getLogger(__name__)

# A builder may return None: not every workload has every DAG.
_BUILDERS: dict[str, Callable[[Workload], DAG | None]] = {
    "retrain_": build_retrain_dag,
    "deploy_": build_deploy_dag,
    "data_quality_": build_data_quality_dag,
    "monitor_": build_monitor_dag,
    "batch_predict_": build_batch_predict_dag,
}
_SITE_BUILDERS: dict[str, Callable[[], DAG]] = {
    "backfill": build_backfill_dag,
    "housekeeping": build_housekeeping_dag,
}


def build_dags() -> dict[str, DAG]:
    """The site's own DAGs and those of every usable workload, or only the one that Airflow is about to run a task of."""
    wanted = get_parsing_context().dag_id
    dags = {name: build() for name, build in _SITE_BUILDERS.items() if wanted in (None, name)}
    for name in _workloads(wanted):
        try:
            dags |= _build(_checked(name), wanted)
        except WorkloadError:
            continue  # `problems` names it
        except Exception as error:
            # An unforeseen error must neither take the other DAGs down nor go unnoticed.
            dags[f"broken_{name}"] = _placeholder(name, error)
    return dags


def problems() -> list[str]:
    """One message per workload that cannot be used: file, field, what was received and how to fix it.

    Builds no DAGs, because Airflow keeps re-reading both files of the folder.
    """
    found = []
    for name in _workloads(None):
        try:
            _checked(name)
        except WorkloadError as error:
            found.append(str(error))
    return found


def _checked(name: str) -> Workload:
    """A workload that Airflow can use.

    Raises:
        WorkloadError: workload.yaml is invalid, or asks for something that Airflow cannot do.
    """
    workload = load_workload(home.workloads_root() / name)
    check_clocks(workload)
    runner_of(workload)
    return workload


def _placeholder(name: str, error: Exception) -> DAG:
    path = home.workloads_root() / name / "workload.yaml"
    text = f"{path}: no DAG could be built for it: {type(error).__name__}: {error}"
    log.error(text)
    return DAG(
        dag_id=f"broken_{name}",
        description=text[:500],
        schedule=None,
        tags=["trainyard", "broken"],
        doc_md=f"### {name} has no DAGs\n{text}\n\nThe DAG processor's log has the traceback.",
        auto_register=False,
    )


def _build(workload: Workload, wanted: str | None) -> dict[str, DAG]:
    dags = {}
    for prefix, build in _BUILDERS.items():
        if wanted in (None, prefix + workload.name) and (dag := build(workload)) is not None:
            _ensure_alerts(dag, workload)
            dags[dag.dag_id] = dag
    return dags


def _ensure_alerts(dag: DAG, workload: Workload) -> None:
    """Makes sure that every task alerts when it fails, even if its builder forgot to."""
    for one in dag.tasks:
        if not one.on_failure_callback:
            one.on_failure_callback = [alerts.task_failed(workload)]


def _workloads(wanted: str | None) -> list[str]:
    names = workload_names(home.workloads_root())
    only = {name.strip() for name in os.environ.get(env.DAG_WORKLOADS, "").split(",") if name.strip()}
    if only:
        names = [name for name in names if name in only]
    if wanted is not None:
        names = [name for name in names if wanted in {prefix + name for prefix in _BUILDERS}]
    return names
