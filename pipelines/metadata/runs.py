"""Reading and mending the metadata store around a run."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sqlite3
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.types import artifact_utils

from components.artifacts import CONTENT_BYTES, CONTENT_FILES
from components.sizes import content_size
from pipelines.metadata import connecting as shared
from spec import environment as env
from spec.errors import InputError

_UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)


def open_store(pipeline_root: pathlib.Path) -> Any:
    """MLMD's connection config of this machine's runs: the database that TRAINYARD_METADATA names, else a file in the root.

    A database serves all workloads; a file serves one.

    Raises:
        InputError: the database refuses us or does not exist, or the file is damaged.
    """
    if not os.environ.get(env.METADATA):
        return _open_sqlite(pipeline_root / "metadata.sqlite")
    config = shared.connection_config()
    # Makes the tables of an empty database, waits for one that starts, and refuses wrong credentials before any work.
    shared.connect(config)
    return config


def connection(config: Any) -> metadata.Metadata:
    """How TFX reaches the store that `open_store` opened; a database may be away for a while."""
    if config.HasField("sqlite"):
        return metadata.Metadata(config)
    from pipelines.runners.kubeflow.launching import PatientMetadata

    return PatientMetadata(config)


def _open_sqlite(path: pathlib.Path) -> Any:
    """MLMD's connection config of a SQLite file, made if it is not there.

    Raises:
        InputError: the file is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and (damage := _damage(path)):
        raise InputError(
            f"{path}: the metadata store is damaged ({damage}). Delete the folder {path.parent} and run again: its "
            "artifacts are made anew; data, releases and the reports of earlier runs lie elsewhere."
        )
    return metadata.sqlite_metadata_connection_config(str(path))


def outputs_of(store: Any, execution_id: int) -> dict[str, list[types.Artifact]]:
    """The output artifacts of an execution by channel, whether it made them or took them from the cache."""
    events = [e for e in store.get_events_by_execution_ids([execution_id]) if e.type == mlmd.Event.OUTPUT]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    kinds = {t.id: t for t in store.get_artifact_types_by_id(sorted({a.type_id for a in artifacts.values()}))}
    outputs: dict[str, list[types.Artifact]] = {}
    for event in events:
        artifact = artifacts[event.artifact_id]
        outputs.setdefault(event.path.steps[0].key, []).append(
            artifact_utils.deserialize_artifact(kinds[artifact.type_id], artifact)
        )
    return outputs


def _damage(path: pathlib.Path) -> str:
    """What SQLite finds wrong with a file; empty if nothing. Not read-only: a dead writer's journal is rolled back."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        return ""  # locked, or the disk is full: no damage, and MLMD says it too
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if verdict == "ok" else str(verdict)


def forget_damaged(store: Any, pipeline: str) -> int:
    """Marks a pipeline's artifacts whose bytes are gone or changed in size as deleted, so that no cache answers with them.

    TFX looks only whether the folder is there; an emptied folder would pass.

    Returns:
        How many were marked.
    """
    damaged = []
    context = _pipeline_context(store, pipeline)
    for artifact in store.get_artifacts_by_context(context) if context else []:
        properties = artifact.custom_properties
        if artifact.state != mlmd.Artifact.LIVE or CONTENT_FILES not in properties:
            continue
        files, size = content_size(artifact.uri)
        if (files, size) != (properties[CONTENT_FILES].int_value, properties[CONTENT_BYTES].int_value):
            artifact.state = mlmd.Artifact.DELETED
            damaged.append(artifact)
    if damaged:
        store.put_artifacts(damaged)
    return len(damaged)


def bury_unfinished(store: Any, pipeline: str, pipeline_root: pathlib.Path) -> int:
    """Fails the executions of a pipeline's run that died (its lock is ours: nobody works on them) and removes their outputs.

    Returns:
        How many there were.
    """
    dead = [e for e in _executions(store, pipeline) if e.last_known_state in _UNFINISHED]
    for execution in dead:
        execution.last_known_state = mlmd.Execution.FAILED
        for folder in pipeline_root.glob(f"*/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
    if dead:
        store.put_executions(dead)
    return len(dead)


def clear_ahead(store: Any, pipeline: str, pipeline_root: pathlib.Path) -> int:
    """Removes outputs of executions that are still to come: after the metadata was lost, their numbers start again.

    Returns:
        How many folders there were.
    """
    last = max((execution.id for execution in _executions(store, pipeline)), default=0)
    ahead = [f for f in pipeline_root.glob("*/*/*") if f.name.isdecimal() and int(f.name) > last and f.is_dir()]
    for folder in ahead:
        shutil.rmtree(folder, ignore_errors=True)
    return len(ahead)


def _executions(store: Any, pipeline: str) -> list[Any]:
    context = _pipeline_context(store, pipeline)
    return list(store.get_executions_by_context(context)) if context else []


def _pipeline_context(store: Any, pipeline: str) -> int | None:
    """The id of the context that TFX gives to all that a pipeline does; other workloads may share the store."""
    context = store.get_context_by_type_and_name(constants.PIPELINE_CONTEXT_TYPE_NAME, pipeline)
    return None if context is None else int(context.id)
