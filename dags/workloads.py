"""Every workload's Airflow DAGs: `retrain_`, `deploy_`, `data_quality_` and `batch_predict_<workload>`; `backfill`, `housekeeping`.

A workload whose workload.yaml cannot be used is left out here and named by `broken_workloads.py`.
"""

from __future__ import annotations

from dags.factory import build_dags

globals().update(build_dags())
