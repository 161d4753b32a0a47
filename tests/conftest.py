"""Processes that share a run (pytest-xdist) have an Airflow each: two would migrate one database at once."""

import os
import pathlib

if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and "AIRFLOW_HOME" in os.environ:
    os.environ["AIRFLOW_HOME"] = str(pathlib.Path(os.environ["AIRFLOW_HOME"]) / worker)
