"""Shows each workload that cannot be used as an Airflow import error, with file and field.

It is a separate file because Airflow drops every DAG of a file that raises; the good ones are in `workloads.py`.
"""

from __future__ import annotations

from dags.factory import problems
from spec.workload import WorkloadError

if found := problems():
    raise WorkloadError("\n".join(found))
