"""Shows as an Airflow import error, with file and field, each workload that cannot be used.

It is a file of its own because Airflow drops all DAGs of a file that raises: the good ones stay in `workloads.py`.
"""

from __future__ import annotations

from dags.factory import problems
from spec.workload import WorkloadError

if found := problems():
    raise WorkloadError("\n".join(found))
