"""Airflow's settings, which must be there before Airflow is imported, and a double of KFP's API beside it."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Iterator

import pytest

from tests.airflow_kubeflow.kubeflow_server import KubeflowServer

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="trainyard-airflow-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
# What the operator writes into a task's log is looked at; the wrapper script makes Airflow quiet.
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "INFO"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeflowServer]:
    one = KubeflowServer(tmp_path_factory.mktemp("kubeflow"))
    one.start()
    yield one
    one.kill()


@pytest.fixture
def kubeflow(server: KubeflowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeflowServer]:
    """KFP, empty, and a connection to it."""
    server.steer(reset=True)
    monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", server.connection())
    yield server
    assert server.told()["violations"] == []


@pytest.fixture(scope="session")
def database() -> pathlib.Path:
    """Airflow's tables, for dag.test()."""
    from airflow.utils.db import initdb

    initdb()
    return pathlib.Path(os.environ["AIRFLOW_HOME"])
