"""The metadata store over a network: refused, away, and back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipelines.metadata.connecting import connect, connection_config, open_once, patiently
from pipelines.metadata.opening import open_store
from pipelines.metadata.upkeep import bury_unfinished, clear_ahead
from spec.errors import InputError
from tests.pipelines.kubeflow.kubeflow_double import ROOT


def test_a_postgresql_uri_and_its_secret() -> None:
    config = connection_config(
        {
            "TRAINYARD_METADATA": "postgresql://db.example:6432/mlmd?sslmode=require",
            "TRAINYARD_METADATA_USER": "trainyard",
            "TRAINYARD_METADATA_PASSWORD": "p@ss/word",
        }
    ).postgresql
    assert (config.host, config.port, config.dbname) == ("db.example", "6432", "mlmd")
    assert (config.user, config.password, config.ssloption.sslmode) == ("trainyard", "p@ss/word", "require")


def test_a_mysql_uri() -> None:
    config = connection_config({"TRAINYARD_METADATA": "mysql://u@db/mlmd"}).mysql
    assert (config.host, config.port, config.database, config.user) == ("db", 3306, "mlmd", "u")


@pytest.mark.parametrize("uri", ["", "redis://x/y", "postgresql://", "postgresql://host"])
def test_an_uri_that_names_no_store(uri: str) -> None:
    with pytest.raises(InputError, match="TRAINYARD_METADATA: expected postgresql://"):
        connection_config({"TRAINYARD_METADATA": uri})


@pytest.mark.parametrize(
    "error",
    [
        ml_metadata.errors.InvalidArgumentError("a bad query over this connection"),
        ml_metadata.errors.InternalError("PostgreSQL metadata source error: ERROR:  syntax error at or near"),
    ],
)
def test_what_waiting_does_not_mend_is_not_waited_for(error: Exception) -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        patiently(work)
    assert len(calls) == 1


def test_a_wrong_password_is_one_line(postgres) -> None:
    with pytest.raises(InputError, match="TRAINYARD_METADATA_PASSWORD") as caught:
        connect(connection_config({**postgres.environment, "TRAINYARD_METADATA_PASSWORD": "wrong"}))
    assert "authentication failed" in str(caught.value) and "wrong" not in str(caught.value)


TEXTS = [
    "C:\\new",
    '{"error": "two\\nlines, and a \\"quote\\""}',
    "\\', true); DROP TABLE Artifact; --",
    "it's",
    "plain",
]


def test_texts_come_back_as_they_went_in(postgres) -> None:
    store = connect(connection_config(postgres.environment))
    (kind,) = [store.put_artifact_type(mlmd.ArtifactType(name="Text", properties={"said": mlmd.STRING}))]
    made = []
    for text in TEXTS:
        artifact = mlmd.Artifact(type_id=kind, uri=f"s3://bucket/{text}", name=text)
        artifact.properties["said"].string_value = artifact.custom_properties["also"].string_value = text
        made += store.put_artifacts([artifact])
    found = store.get_artifacts_by_id(made)
    assert [a.properties["said"].string_value for a in found] == TEXTS
    assert [a.custom_properties["also"].string_value for a in found] == TEXTS
    assert [store.get_artifact_by_type_and_name("Text", text).id for text in TEXTS] == made
    assert [a.uri for a in store.get_artifacts_by_uri(f"s3://bucket/{TEXTS[0]}")] == [f"s3://bucket/{TEXTS[0]}"]


def test_artifacts_come_in_the_order_that_they_were_asked_for(postgres) -> None:
    """PostgreSQL moves a row that is changed to the end of its table; TFX pairs the answer with its question by position."""
    store = connect(connection_config(postgres.environment))
    kind = store.put_artifact_type(mlmd.ArtifactType(name="Moved"))
    made = store.put_artifacts([mlmd.Artifact(type_id=kind, uri=f"s3://bucket/{name}") for name in "abc"])
    (first,) = store.get_artifacts_by_id(made[:1])
    first.state = mlmd.Artifact.LIVE
    store.put_artifacts([first])
    assert [a.id for a in store.get_artifacts_by_id(made)] == made
    assert [a.id for a in store.get_artifacts_by_id(made[::-1])] == made[::-1]
    assert [a.id for a in store.get_artifacts_and_types_by_artifact_ids(made)[0]] == made


def test_nodes_that_find_an_empty_database_at_once_all_get_their_store(postgres) -> None:
    postgres.create_database("fresh")
    uri = postgres.environment["TRAINYARD_METADATA"].replace("/trainyard", "/fresh")
    code = "from pipelines.metadata.connecting import *; connect(connection_config()).get_contexts()"
    environment = {**os.environ, **postgres.environment, "TRAINYARD_METADATA": uri, "PYTHONPATH": str(ROOT)}
    nodes = [subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=ROOT) for _ in range(4)]
    assert [node.wait(120) for node in nodes] == [0] * 4


def test_a_missing_database_is_one_line(postgres) -> None:
    uri = postgres.environment["TRAINYARD_METADATA"].replace("/trainyard", "/nosuch")
    with pytest.raises(InputError, match="does not exist"):
        connect(connection_config({**postgres.environment, "TRAINYARD_METADATA": uri}))


def test_a_store_that_is_away_is_waited_for(postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    config = connection_config(postgres.environment)
    connect(config)
    postgres.stop()
    monkeypatch.setenv("TRAINYARD_METADATA_PATIENCE_S", "1")
    try:
        with pytest.raises(Exception, match=r"(?i)connect"):
            connect(config)
        monkeypatch.setenv("TRAINYARD_METADATA_PATIENCE_S", "60")
        started = time.monotonic()
        threading.Timer(1.5, postgres.start).start()
        assert connect(config).get_contexts() == []
        assert time.monotonic() - started >= 1.5
    finally:
        if postgres._server.poll() is not None:
            postgres.start()


def test_a_connection_that_breaks_between_two_calls_is_made_anew(postgres) -> None:
    config = connection_config(postgres.environment)
    store = connect(config)
    postgres.stop()
    postgres.start()
    tries = []

    def work() -> list:
        tries.append(1)
        return (store if len(tries) == 1 else open_once(config)).get_contexts()

    assert patiently(work) == [] and len(tries) == 2


def test_a_run_on_this_machine_keeps_to_its_own_pipeline_in_a_shared_database(postgres, monkeypatch, tmp_path) -> None:
    """Another workload's run is under way in the same database: it must not be taken for one that died."""
    for name, value in postgres.environment.items():
        monkeypatch.setenv(name, value)
    config = open_store(tmp_path)
    ours, other = (_running_execution(connect(config), pipeline) for pipeline in ("ours", "other"))
    for root in ("ours", "other"):
        (tmp_path / root / "Trainer" / "model" / str(ours if root == "ours" else other)).mkdir(parents=True)
    assert bury_unfinished(connect(config), "ours", tmp_path / "ours") == 1
    states = {e.id: e.last_known_state for e in connect(config).get_executions_by_id([ours, other])}
    assert states == {ours: mlmd.Execution.FAILED, other: mlmd.Execution.RUNNING}
    assert clear_ahead(connect(config), "other", tmp_path / "other") == 0
    assert not list(tmp_path.glob("ours/*/*/*")) and len(list(tmp_path.glob("other/*/*/*"))) == 1


def _running_execution(store, pipeline: str) -> int:
    kind = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    context = mlmd.Context(type_id=store.put_context_type(mlmd.ContextType(name="pipeline")), name=pipeline)
    execution = mlmd.Execution(type_id=kind, last_known_state=mlmd.Execution.RUNNING)
    identity, _, _ = store.put_execution(execution, [], [context], reuse_context_if_already_exist=True)
    return int(identity)
