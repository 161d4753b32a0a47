"""Runs a pipeline and waits for it in the triggerer; a sensor waits for a run that somebody else started."""

from __future__ import annotations

import datetime

from airflow.sdk import DAG, Param

from airflow_kubeflow.operators.kubeflow import KubeflowPipelineRunOperator
from airflow_kubeflow.sensors.kubeflow import KubeflowRunSensor

with DAG(
    "example_kubeflow",
    schedule=None,
    params={
        "pipeline_file": Param(
            "/opt/pipelines/taxi.yaml", type="string", description="Compiled by kfp; a path on the worker."
        ),
        "span": Param(-1, type="integer", description="A parameter that the pipeline declares."),
    },
    tags=["example", "kubeflow"],
):
    run_pipeline = KubeflowPipelineRunOperator(
        task_id="run_pipeline",
        pipeline_file="{{ params.pipeline_file }}",
        parameters={"span": "{{ params.span }}"},
        experiment="example",
        timeout=datetime.timedelta(hours=6),
        retries=3,
        retry_delay=datetime.timedelta(minutes=1),
    )
    wait_for_run = KubeflowRunSensor(
        task_id="wait_for_run",
        run_id="{{ ti.xcom_pull('run_pipeline')['run_id'] }}",
        poke_interval=30,
        timeout=datetime.timedelta(hours=6).total_seconds(),
    )
    run_pipeline >> wait_for_run
