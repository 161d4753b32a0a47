"""Reading and mending the metadata store around a run."""

from __future__ import annotations

import pathlib
import shutil
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.orchestration import metadata
from tfx.types import artifact_utils

from components.artifacts import CONTENT_BYTES, CONTENT_FILES
from components.sizes import content_size

_UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)


def open_sqlite(path: pathlib.Path) -> Any:
    """MLMD's connection config of a SQLite file, made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
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


def forget_damaged(store: Any) -> int:
    """Marks artifacts whose bytes are gone or changed in size as deleted, so that no cache answers with them.

    TFX looks only whether the folder is there; an emptied folder would pass.

    Returns:
        How many were marked.
    """
    damaged = []
    for artifact in store.get_artifacts():
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


def bury_unfinished(store: Any, pipeline_root: pathlib.Path) -> int:
    """Fails the executions of a run that died (the run lock is ours, so nobody works on them) and removes their outputs.

    Returns:
        How many there were.
    """
    dead = [e for e in store.get_executions() if e.last_known_state in _UNFINISHED]
    for execution in dead:
        execution.last_known_state = mlmd.Execution.FAILED
        for folder in pipeline_root.glob(f"*/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
    if dead:
        store.put_executions(dead)
    return len(dead)
