"""Runs a node with TFX's portable launcher: driver, cache, resolvers and publishing are TFX's."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, outputs_utils, runtime_parameter_utils
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2

import storage
from components.artifacts import CONTENT_BYTES, CONTENT_FILES
from components.sizes import content_size
from pipelines.metadata.connecting import RunExecutions, connect, patiently
from pipelines.runners.kubeflow import filesystem, spec
from pipelines.runners.kubeflow.multi_node.manifest import TrainJobRequest
from pipelines.runners.kubeflow.staging import OPERATORS, say

_FAILED = (mlmd.Execution.FAILED, mlmd.Execution.CANCELED)
# The cache may answer with any of a node's former outputs, newest first. So many are looked at.
_LOOKED_AT = 100


@dataclasses.dataclass(frozen=True)
class Ended:
    """What became of a node.

    Attributes:
        outcome: done, from the cache or skipped, in words.
        outputs: what it made or found in the cache, by the output's key.
    """

    outcome: str
    outputs: Mapping[str, list[mlmd.Artifact]] = dataclasses.field(default_factory=dict)


class NodeFailed(RuntimeError):
    """A node did not come to an end and raised nothing."""


class PatientMetadata(metadata.Metadata):
    """A connection that is waited for while the store is away; TFX's own gives up after five seconds or so."""

    def __enter__(self) -> PatientMetadata:
        self._store = connect(self._connection_config)
        self._users += 1
        return self


class PatientLauncher(launcher.Launcher):
    """TFX's launcher, for a metadata store that may go away between two calls.

    Both steps may be done again: preparation finds the execution that it registered, publishing looks first whether it
    was done. So neither an hour's work nor a row of metadata is lost or doubled by a database that starts again.
    """

    def _prepare_execution(self) -> Any:
        return patiently(super()._prepare_execution)

    def _publish_successful_execution(self, execution_id: int, *arguments: Any, **more: Any) -> None:
        publish = super()._publish_successful_execution

        def once() -> None:
            with self._mlmd_connection as handle:
                (execution,) = handle.store.get_executions_by_id([execution_id])
            if not execution_lib.is_execution_successful(execution):
                publish(execution_id, *arguments, **more)

        patiently(once)

    def _publish_failed_execution(self, *arguments: Any, **more: Any) -> None:
        publish = super()._publish_failed_execution
        patiently(lambda: publish(*arguments, **more))


def run_node(
    part: pipeline_pb2.Pipeline,
    bindings: Mapping[str, Any],
    config: mlmd.ConnectionConfig,
    earlier: RunExecutions,
    train_job: TrainJobRequest | None = None,
) -> Ended:
    """Runs the pipeline's one node.

    Args:
        part: a pipeline with this node alone; its runtime parameters are filled in here.
        bindings: their values by name.
        config: of the metadata store.
        earlier: finds what an earlier attempt of this pod registered.
        train_job: runs the executor in the pods of such a job; None: in this process.

    Raises:
        NodeFailed: its inputs could not be resolved.
    """
    filesystem.register()
    runtime_parameter_utils.substitute_runtime_parameter(part, bindings)
    node = part.nodes[0].pipeline_node
    connection = PatientMetadata(config)
    # What a TrainJob makes, it makes without this pod: an earlier attempt's death says nothing about it.
    patiently(lambda: _tidy(part, connection, None if train_job else earlier))
    deployment = runner_utils.extract_local_deployment_config(part)
    say("launching")
    info = PatientLauncher(
        pipeline_node=node,
        mlmd_connection=connection,
        pipeline_info=part.pipeline_info,
        pipeline_runtime_spec=part.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
        custom_executor_operators=_operators(train_job),
    ).launch()
    if info is None or info.execution_id is None:
        return Ended("skipped: a condition of the graph does not hold")

    def published() -> tuple[Any, dict[str, list[mlmd.Artifact]]]:
        with connection as handle:
            (execution,) = handle.store.get_executions_by_id([info.execution_id])
            return execution.last_known_state, _outputs(handle.store, execution.id)

    final, outputs = patiently(published)
    if final in _FAILED:
        raise NodeFailed(f"{node.node_info.id}: its inputs could not be resolved; the log says which")
    return Ended("from the cache" if final == mlmd.Execution.CACHED else "done", outputs)


def _operators(train_job: TrainJobRequest | None) -> dict[type, Any]:
    if train_job is None:
        return dict(OPERATORS)
    from pipelines.runners.kubeflow.multi_node.operator import TrainJobOperator

    return {executable_spec_pb2.PythonClassExecutableSpec: functools.partial(TrainJobOperator, request=train_job)}


def _outputs(store: Any, execution_id: int) -> dict[str, list[mlmd.Artifact]]:
    events = [e for e in store.get_events_by_execution_ids([execution_id]) if e.type == mlmd.Event.OUTPUT]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    found: dict[str, list[mlmd.Artifact]] = {}
    for event in events:
        found.setdefault(event.path.steps[0].key, []).append(artifacts[event.artifact_id])
    return found


def _tidy(part: pipeline_pb2.Pipeline, connection: metadata.Metadata, earlier: RunExecutions | None) -> None:
    """Before TFX looks: outputs of a dead attempt count as nothing, and so do damaged ones in the cache.

    Args:
        part: the pipeline with the node.
        connection: to the metadata store.
        earlier: finds the dead attempt; None: leaves its outputs alone.
    """
    node = part.nodes[0].pipeline_node
    with connection as handle:
        execution = earlier.find(handle.store) if earlier else None
        if execution is not None and not execution_lib.is_execution_successful(execution):
            folder = outputs_utils.get_node_dir(part.runtime_spec, node.node_info.id)
            outputs = outputs_utils.generate_output_artifacts(execution.id, node.outputs.outputs, folder)
            for artifact in (one for listed in outputs.values() for one in listed):
                storage.discard(artifact.uri)
        if node.execution_options.caching_options.enable_cache:
            _forget_damaged(handle.store, spec.node_context(part))


def _forget_damaged(store: Any, context_name: str) -> None:
    """Marks this node's former outputs whose bytes are gone or changed as deleted, so that the cache does not answer with them.

    TFX looks only whether the folder is there. Other nodes' artifacts and other runs' executions are not touched: runs are
    concurrent here.
    """
    context = store.get_context_by_type_and_name("node", context_name)
    if context is None:
        return
    candidates = [
        a
        for a in store.get_artifacts_by_context(context.id)
        if a.state == mlmd.Artifact.LIVE and CONTENT_FILES in a.custom_properties
    ]
    candidates = sorted(candidates, key=lambda a: a.id)[-_LOOKED_AT:]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        damaged = [a for a, whole in zip(candidates, pool.map(_is_whole, candidates), strict=True) if not whole]
    for artifact in damaged:
        artifact.state = mlmd.Artifact.DELETED
        say(f"{artifact.uri}: is damaged or gone; it is made again where it is needed")
    if damaged:
        store.put_artifacts(damaged)


def _is_whole(artifact: mlmd.Artifact) -> bool:
    if storage.is_remote(artifact.uri):
        return storage.is_whole(artifact.uri)
    noted = artifact.custom_properties
    return content_size(artifact.uri) == (noted[CONTENT_FILES].int_value, noted[CONTENT_BYTES].int_value)
