"""Retraining on Kubeflow Pipelines: compile, run there, announce what was released."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.operators import TrainyardOperator
from dags.release import announce
from spec import environment as env
from spec import exit_codes, home
from spec.workload import Workload

_SPAN = "{% set span = ti.xcom_pull(task_ids='resolve_span') %}{{ -1 if span is none else span }}"


def add_tasks(workload: Workload, span: Any, data: Asset, released: Asset) -> None:
    """Adds compile -> train -> release after resolve_span; `train` is the run on Kubeflow."""
    # Only workloads that run on Kubeflow need the provider.
    from airflow_kubeflow.operators.kubeflow import KubeflowPipelineRunOperator  # type: ignore

    timeout = timedelta(minutes=workload.schedule.timeout_minutes)
    compiled = CompileOperator(task_id="compile", workload=workload.name, doc_md=_COMPILE_DOC)
    train = KubeflowPipelineRunOperator(
        task_id="train",
        pipeline_file=compiled.output,
        parameters={"span": _SPAN},
        experiment=workload.name,
        run_name=f"{workload.name} {{{{ run_id }}}}",
        kubeflow_conn_id=os.environ.get(env.KUBEFLOW_CONNECTION) or "kubeflow_default",
        timeout=timeout,
        retries=workload.schedule.retries,
        execution_timeout=timeout + timedelta(minutes=10),
        inlets=[data],
        doc_md=_TRAIN_DOC,
    )
    release = FindReleaseOperator(
        task_id="release",
        definition=workload,
        run=train.output,
        data=data,
        released=released,
        doc_md=_RELEASE_DOC,
    )
    span >> compiled >> train >> release


class CompileOperator(TrainyardOperator):
    """Returns the compiled pipeline's path: that of the image, or one compiled now.

    Compiling needs the pipelines environment, and a folder that the next task sees too (TRAINYARD_HOME on a shared volume).
    Where each task has its own pod, compile when the image is built and set TRAINYARD_COMPILED.
    """

    def __init__(self, *, workload: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workload = workload

    def execute(self, context: Context) -> str:  # type: ignore[override]
        if folder := os.environ.get(env.COMPILED):
            file = Path(folder) / f"{self.workload}.yaml"
            if not file.is_file():
                raise AirflowFailException(
                    f"{file}: there is no such file. Compile it into the image: trainyard compile {self.workload} -o {file} --check"
                )
            self.log.info("Compiled with the image: %s", file)
            return str(file)
        file = home.home() / "compiled" / self.workload / f"{context['run_id'].replace('/', '-')}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        finished = self.finished(["compile", self.workload, "-o", str(file), "--check", "--stage-assets"])
        if finished.returncode:
            said = finished.last_lines[-1] if finished.last_lines else "it printed nothing"
            kind = AirflowFailException if finished.returncode == exit_codes.FIX_INPUT else AirflowException
            raise kind(f"{self.workload} was not compiled: {said}")
        return str(file)


class FindReleaseOperator(BaseOperator):
    """Announces the release that a run on Kubeflow published, if it published one."""

    template_fields = ("run",)

    def __init__(self, *, definition: Workload, run: Any, data: Asset, released: Asset, **kwargs: Any) -> None:
        super().__init__(inlets=[data], outlets=[released], **kwargs)
        self.definition, self.run, self.data, self.released = definition, run, data, released

    def execute(self, context: Context) -> dict[str, Any]:
        outcome = outcome_of(self.definition.name, self.run)
        announce(self, context, outcome)
        return outcome


def outcome_of(model: str, run: dict[str, Any]) -> dict[str, Any]:
    """A run on Kubeflow in the format of `trainyard run --json`, with what the model store knows about its release."""
    from model_store import ModelStore

    store = ModelStore(home.store_uri())
    releases = [store.release(model, version) for version in reversed(store.versions(model)[-20:])]
    mine = next((one for one in releases if one.run_id == run["run_id"]), None)
    return {
        "workload": model,
        "run_id": run["run_id"],
        "status": "succeeded",
        "seconds": run.get("seconds"),
        "release": mine and {"version": mine.version, "uri": mine.uri},
        "metrics": mine.metrics.get("overall", {}) if mine else {},
        "reasons": []
        if mine
        else [f"the run published nothing; its Evaluator and InfraValidator say why: {run['ui']}"],
        "reports": {"kubeflow": run["ui"]},
    }


_COMPILE_DOC = """\
Compiles the pipeline for Kubeflow, or takes the file that came with the image (TRAINYARD_COMPILED).
**If it fails:** the last line of its log says what Kubeflow would refuse, or which file is missing.
"""
_TRAIN_DOC = """\
Runs the pipeline on Kubeflow; the data gates, training and evaluation are tasks there (follow the link above). It waits in the
triggerer. **If it fails:** its log names the task that failed and links to it; in that task's log, the line that starts with
`trainyard:` says what to fix. A retry continues where this try stopped: finished tasks come from the cache.
**To stop it:** mark it failed; the run on Kubeflow is terminated.
"""
_RELEASE_DOC = """\
Looks up in the model store what the run released, and announces it, which starts the deployment.
**If it is skipped:** the model was not released; the outputs of Evaluator and InfraValidator on Kubeflow say why.
"""
