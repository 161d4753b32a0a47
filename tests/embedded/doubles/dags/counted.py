"""A DAG whose tasks each write one line, so that a task which ran twice shows."""

from __future__ import annotations

import os
import time
from datetime import datetime

from airflow.sdk import dag, get_current_context, task


@dag(schedule=None, start_date=datetime(2026, 1, 1), max_active_tasks=32, default_args={"retries": 2, "retry_delay": 1})
def counted() -> None:
    @task
    def write(number: int) -> None:
        context = get_current_context()
        line = f"{context['run_id']} {number} {context['ti'].try_number}\n"
        # One write to a file opened for appending: two processes cannot mix their lines.
        with open(os.environ["COUNTED_FILE"], "a") as file:  # noqa: PTH123
            file.write(line)
        time.sleep(1)  # long enough for a second scheduler to find work left, and for a kill to hit

    write.expand(number=list(range(int(os.environ["COUNTED_TASKS"]))))


counted()
