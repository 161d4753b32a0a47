"""The guide's DAG (docs/guides/airflow-kubeflow.md) on a small pipeline, with pauses that suit a test, and a sensor behind it."""

from __future__ import annotations

import datetime
import pathlib

from airflow.sdk import DAG, Param

from airflow_kubeflow.operators.kubeflow import KubeflowPipelineRunOperator
from airflow_kubeflow.sensors.kubeflow import KubeflowRunSensor

PIPELINE = str(pathlib.Path(__file__).parents[1] / "pipelines" / "example.yaml")

with DAG(
    "taxi_on_kubeflow",
    schedule=None,
    params={"span": Param(7, type="integer")},
    default_args={"retries": 2, "retry_delay": datetime.timedelta(seconds=1)},
    tags=["kubeflow"],
):
    KubeflowPipelineRunOperator(
        task_id="train",
        pipeline_file=PIPELINE,
        parameters={"span": "{{ params.span }}", "rate": 0.01},
        experiment="taxi",
        run_name="taxi, span {{ params.span }}",
        timeout=datetime.timedelta(hours=6),
        poll_interval=1,
    ) >> KubeflowRunSensor(
        task_id="look_again", run_id="{{ ti.xcom_pull('train')['run_id'] }}", poke_interval=1, retries=0
    )
