"""Builds the DAGs of all workloads; one broken workload never takes another down."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow.sdk import DAG, get_parsing_context

from dags.backfill import build_backfill_dag
from dags.batch_predict import build_batch_predict_dag
from dags.data_quality import build_data_quality_dag
from dags.deploy import build_deploy_dag
from dags.housekeeping import build_housekeeping_dag
from dags.retrain import build_retrain_dag
from pipelines import home
from pipelines.workload import Workload, WorkloadError, load_workload, workload_names

ONLY_WORKLOADS = "TRAINYARD_DAG_WORKLOADS"
"""Environment variable: comma-separated workloads to build DAGs for. Default: all of them."""

# A builder may answer None: not every workload asks for every DAG.
_BUILDERS: dict[str, Callable[[Workload], DAG | None]] = {
    "retrain_": build_retrain_dag,
    "deploy_": build_deploy_dag,
    "data_quality_": build_data_quality_dag,
    "batch_predict_": build_batch_predict_dag,
}
_SITE_BUILDERS: dict[str, Callable[[], DAG]] = {
    "backfill": build_backfill_dag,
    "housekeeping": build_housekeeping_dag,
}


@dataclass
class BuiltDags:
    """What came of the workloads folder."""

    dags: dict[str, DAG] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """One message a broken workload: file, field, what was received and how to mend it."""


def build_dags() -> BuiltDags:
    """Builds the DAGs of every workload and the site's own, or only the DAG that Airflow is about to run a task of."""
    wanted = get_parsing_context().dag_id
    built = BuiltDags({name: build() for name, build in _SITE_BUILDERS.items() if wanted in (None, name)})
    for name in _workloads(wanted):
        try:
            built.dags |= _build(load_workload(home.workloads_root() / name), wanted)
        except WorkloadError as error:
            built.problems.append(str(error))
        except Exception as error:
            # A value that the workload model lets through and Airflow does not must not take the other DAGs along.
            path = home.workloads_root() / name / "workload.yaml"
            built.problems.append(f"{path}: no DAG could be built of it: {type(error).__name__}: {error}")
    return built


def _build(workload: Workload, wanted: str | None) -> dict[str, DAG]:
    dags = {}
    for prefix, build in _BUILDERS.items():
        if wanted in (None, prefix + workload.name) and (dag := build(workload)) is not None:
            dags[dag.dag_id] = dag
    return dags


def _workloads(wanted: str | None) -> list[str]:
    names = workload_names(home.workloads_root())
    only = {name.strip() for name in os.environ.get(ONLY_WORKLOADS, "").split(",") if name.strip()}
    if only:
        names = [name for name in names if name in only]
    if wanted is not None:
        names = [name for name in names if wanted in {prefix + name for prefix in _BUILDERS}]
    return names
