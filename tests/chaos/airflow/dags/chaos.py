"""A remote training, its release, and a deployment that the release starts: the smallest loop that can lose or double something."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterator
from typing import Any

from airflow.sdk import DAG, Asset, Metadata, task

from airflow_kubeflow.operators.kubeflow import KubeflowPipelineRunOperator

RELEASED = Asset("chaos_released")
RETRIES = {"retries": 3, "retry_delay": datetime.timedelta(seconds=1)}


def note(what: str, line: str) -> None:
    """One write to a file opened for appending: two processes cannot mix their lines."""
    with open(os.path.join(os.environ["CHAOS_FOLDER"], what), "a") as file:  # noqa: PTH118, PTH123
        file.write(f"{line}\n")


@task(outlets=[RELEASED])
def release(remote: dict[str, Any]) -> Iterator[Metadata]:
    note("released", remote["run_id"])
    time.sleep(1)  # long enough to be hit
    yield Metadata(RELEASED, extra={"version": remote["run_id"]})


@task
def deploy(triggering_asset_events: Any = None) -> None:
    for event in triggering_asset_events[RELEASED]:
        note("deployed", event.extra["version"])


with DAG("chaos_retrain", schedule=None, default_args=RETRIES, max_active_runs=1):
    release(
        KubeflowPipelineRunOperator(
            task_id="train",
            pipeline_file=os.environ["CHAOS_PIPELINE"],
            parameters={"span": 7, "rate": 0.01},
            experiment="chaos",
            run_name="chaos",
            timeout=datetime.timedelta(hours=1),
            poll_interval=1,
        ).output
    )

with DAG("chaos_deploy", schedule=[RELEASED], default_args=RETRIES, max_active_runs=1):
    deploy()
