"""Runs a node with TFX's portable launcher: driver, cache, resolvers and publishing are TFX's."""

from __future__ import annotations

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
from pipelines.metadata import upkeep
from pipelines.metadata.attempts import RunExecutions
from pipelines.metadata.connecting import patiently
from pipelines.metadata.opening import PatientMetadata
from pipelines.runners import _failures
from pipelines.runners.kubeflow import spec
from pipelines.runners.kubeflow.cluster.pools import TRAINER, TUNER
from pipelines.runners.kubeflow.multi_node.manifest import TrainJobRequest
from pipelines.runners.kubeflow.pod import filesystem
from pipelines.runners.kubeflow.pod.staging import OPERATORS, say

_FAILED = (mlmd.Execution.FAILED, mlmd.Execution.CANCELED)
# The cache may use any of a node's former outputs, newest first. So many are checked.
_LOOKED_AT = 100


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a node ended.

    Attributes:
        outcome: done, from the cache or skipped, in words.
        outputs: what it produced or found in the cache, by the output's key.
    """

    outcome: str
    outputs: Mapping[str, list[mlmd.Artifact]] = dataclasses.field(default_factory=dict)


class PatientLauncher(launcher.Launcher):
    """TFX's launcher, for a metadata store that may be away for a while.

    Both steps can be repeated: preparation finds the execution that it registered, and publishing first checks whether it
    was done. So a database that restarts neither loses nor doubles an hour's work or a row of metadata.
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
        earlier: finds what an earlier attempt of this pod registered.
        train_job: works in the pods of such a job; None: in this process.

    Raises:
        NodeFailed: its inputs could not be resolved.
    """
    filesystem.register()
    runtime_parameter_utils.substitute_runtime_parameter(part, bindings)
    node = part.nodes[0].pipeline_node
    connection = PatientMetadata(config)
    # The Trainer's TrainJob works without this pod: an earlier attempt's death says nothing about its outputs.
    works_alone = train_job is not None and node.node_info.id == TRAINER
    patiently(lambda: _tidy(part, connection, None if works_alone else earlier))
    deployment = runner_utils.extract_local_deployment_config(part)
    say(f"{node.node_info.id}: launching")
    info = PatientLauncher(
        pipeline_node=node,
        mlmd_connection=connection,
        pipeline_info=part.pipeline_info,
        pipeline_runtime_spec=part.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node.node_info.id),
        custom_executor_operators=_operators(node.node_info.id, train_job),
    ).launch()
    if info is None or info.execution_id is None:
        return Ended("skipped: a condition of the graph does not hold")

    def published() -> tuple[Any, dict[str, list[mlmd.Artifact]]]:
        with connection as handle:
            (execution,) = handle.store.get_executions_by_id([info.execution_id])
            return execution.last_known_state, upkeep.outputs_of(handle.store, execution.id)

    final, outputs = patiently(published)
    if final in _FAILED:
        raise _failures.NodeFailed(f"{node.node_info.id}: its inputs could not be resolved; the log says which")
    return Ended("from the cache" if final == mlmd.Execution.CACHED else "done", outputs)


def _operators(node_id: str, train_job: TrainJobRequest | None) -> dict[type, Any]:
    if train_job is None:
        return dict(OPERATORS)
    from pipelines.runners.kubeflow.multi_node.operator import TrainJobOperator
    from pipelines.runners.kubeflow.multi_node.search import SearchOperator

    operator = SearchOperator if node_id == TUNER else TrainJobOperator
    return {executable_spec_pb2.PythonClassExecutableSpec: functools.partial(operator, request=train_job)}


def _tidy(part: pipeline_pb2.Pipeline, connection: metadata.Metadata, earlier: RunExecutions | None) -> None:
    """Discards, before TFX looks, the outputs of a dead attempt and damaged ones in the cache.

    Args:
        earlier: finds the dead attempt; None: its outputs are left alone.
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
            # Only this node's: runs are concurrent here.
            context = spec.node_context(part)
            for artifact in upkeep.forget_damaged(handle.store, "node", context, _is_whole, _LOOKED_AT):
                say(f"{artifact.uri}: is damaged or gone; it is made again where it is needed")


def _is_whole(artifact: mlmd.Artifact) -> bool:
    return storage.is_whole(artifact.uri) if storage.is_remote(artifact.uri) else upkeep.is_whole(artifact)
