"""What a run reads from the metadata store, and cleans up there before it begins."""

from __future__ import annotations

import concurrent.futures
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx import types
from tfx.dsl.compiler import constants
from tfx.types import artifact_utils

from components.artifacts import CONTENT_BYTES, CONTENT_FILES
from components.sizes import content_size

_UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)


def outputs_of(store: Any, execution_id: int) -> dict[str, list[mlmd.Artifact]]:
    """The output artifacts of an execution by channel, whether it made them or took them from the cache."""
    events = [e for e in store.get_events_by_execution_ids([execution_id]) if e.type == mlmd.Event.OUTPUT]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    outputs: dict[str, list[mlmd.Artifact]] = {}
    for event in events:
        outputs.setdefault(event.path.steps[0].key, []).append(artifacts[event.artifact_id])
    return outputs


def tfx_outputs_of(store: Any, execution_id: int) -> dict[str, list[types.Artifact]]:
    """`outputs_of`, as TFX's artifacts."""
    outputs = outputs_of(store, execution_id)
    type_ids = sorted({artifact.type_id for made in outputs.values() for artifact in made})
    kinds = {kind.id: kind for kind in store.get_artifact_types_by_id(type_ids)}
    return {
        channel: [artifact_utils.deserialize_artifact(kinds[one.type_id], one) for one in made]
        for channel, made in outputs.items()
    }


def is_whole(artifact: mlmd.Artifact) -> bool:
    """Whether the artifact's folder on this machine still has the files and bytes that were noted when it was made."""
    noted = artifact.custom_properties
    return content_size(artifact.uri) == (noted[CONTENT_FILES].int_value, noted[CONTENT_BYTES].int_value)


def forget_damaged(
    store: Any,
    context_type: str,
    context_name: str,
    is_whole: Callable[[mlmd.Artifact], bool] = is_whole,
    newest: int | None = None,
) -> list[mlmd.Artifact]:
    """Marks artifacts whose bytes are gone or changed as deleted, so that no cache answers with them.

    TFX only checks that the folder exists; an emptied one would pass.

    Args:
        context_type: "pipeline" or "node".
        context_name: whose artifacts to check; others are not touched.
        newest: how many to check, newest first; None: all.

    Returns:
        Those that were marked.
    """
    context = store.get_context_by_type_and_name(context_type, context_name)
    noted = [
        artifact
        for artifact in (store.get_artifacts_by_context(context.id) if context else ())
        if artifact.state == mlmd.Artifact.LIVE and CONTENT_FILES in artifact.custom_properties
    ]
    noted = sorted(noted, key=lambda artifact: artifact.id)[-newest if newest else 0 :]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        damaged = [one for one, whole in zip(noted, pool.map(is_whole, noted), strict=True) if not whole]
    for artifact in damaged:
        artifact.state = mlmd.Artifact.DELETED
    if damaged:
        store.put_artifacts(damaged)
    return damaged


def bury_unfinished(store: Any, pipeline: str, pipeline_root: pathlib.Path) -> int:
    """Marks executions of a run that died as failed and removes their outputs; we hold the lock, so nobody works on them.

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
    """Removes folders of execution ids that have not been used yet: after a loss of metadata the ids start again.

    Returns:
        How many folders there were.
    """
    last = max((execution.id for execution in _executions(store, pipeline)), default=0)
    ahead = [f for f in pipeline_root.glob("*/*/*") if f.name.isdecimal() and int(f.name) > last and f.is_dir()]
    for folder in ahead:
        shutil.rmtree(folder, ignore_errors=True)
    return len(ahead)


def _executions(store: Any, pipeline: str) -> list[Any]:
    """All that a pipeline ever ran; other workloads may share the store."""
    context = store.get_context_by_type_and_name(constants.PIPELINE_CONTEXT_TYPE_NAME, pipeline)
    return list(store.get_executions_by_context(context.id)) if context else []
