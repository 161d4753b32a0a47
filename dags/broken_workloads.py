"""Shows as an Airflow import error, with file and field, each workload of which no DAG could be built.

It is a file of its own because Airflow drops all DAGs of a file that raises: the good ones stay in `workloads.py`.
"""

from __future__ import annotations

from dags.factory import build_dags
from pipelines.workload import WorkloadError

if problems := build_dags().problems:
    raise WorkloadError("\n".join(problems))
