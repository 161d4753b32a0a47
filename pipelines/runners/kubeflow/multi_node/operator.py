"""In the Trainer's own pod: starts the TrainJob instead of the executor, waits for it, and hands its outputs to TFX's launcher."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from google.protobuf import message
from tfx.orchestration.portable import base_executor_operator, data_types
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2

import storage
from pipelines.runners.kubeflow.multi_node.manifest import TrainJobRequest
from pipelines.runners.kubeflow.multi_node.train_job import (
    LOOK_EVERY_S,
    TrainJob,
    TrainJobFailed,
    condition,
    ended_with_us,
)
from pipelines.runners.kubeflow.pod.staging import say


class TrainJobOperator(base_executor_operator.BaseExecutorOperator):
    """Runs a Python executor in the pods of a TrainJob.

    The job has one name for all attempts of the node in a run: an attempt that finds it running waits for it, one that finds it
    done takes its outputs, and one that finds it failed replaces it; training then goes on from the checkpoint.
    """

    SUPPORTED_EXECUTOR_SPEC_TYPE = [executable_spec_pb2.PythonClassExecutableSpec]
    SUPPORTED_PLATFORM_CONFIG_TYPE: list[Any] = []

    def __init__(
        self,
        executor_spec: message.Message,
        platform_config: message.Message | None = None,
        *,
        request: TrainJobRequest,
    ) -> None:
        super().__init__(executor_spec, platform_config)
        self._request = request

    def run_executor(self, execution_info: data_types.ExecutionInfo) -> execution_result_pb2.ExecutorOutput:
        """Runs the job to its end.

        Raises:
            InputError: a worker, or the cluster, says something that trying again would meet again.
            TrainJobFailed: the job failed otherwise.
            KeyboardInterrupt: this pod is told to end; the job is deleted.
        """
        job = TrainJob(self._request, execution_info)
        with ended_with_us(lambda: job.delete(wait=False)):
            self._start_or_attach(job, execution_info)
            _wait(job)
        output = job.exchange.output()
        if output is None:
            raise TrainJobFailed(f"TrainJob {job.name} is complete and its chief has left no outputs")
        return output

    def _start_or_attach(self, job: TrainJob, info: data_types.ExecutionInfo) -> None:
        found = job.find()
        if found is not None and _is_of_use(found, info, job):
            say(f"TrainJob {job.name} is there from an earlier attempt")
            job.adopt(found)
            return
        if found is not None:
            say(f"TrainJob {job.name} has failed before; another takes its place")
            job.delete()
        for artifacts in info.output_dict.values():
            for artifact in artifacts:
                storage.discard(artifact.uri)
        job.start(info, self._executor_spec.class_path)


def _wait(job: TrainJob) -> None:
    told = ""
    while True:
        # However long the API is away: the job goes on without it, and KFP's deadline ends this pod.
        found = job.find(patience_s=float("inf"))
        if found is None:
            raise TrainJobFailed(f"TrainJob {job.name} is gone: somebody deleted it")
        if complete := condition(found, "Complete"):
            say(f"TrainJob {job.name}: {complete.get('message') or 'complete'}")
            return
        if failed := condition(found, "Failed"):
            raise job.failure(failed)
        if (progress := _progress(found)) != told:
            say(f"TrainJob {job.name}: {progress}")
            told = progress
        time.sleep(LOOK_EVERY_S)


def _is_of_use(found: Mapping[str, Any], info: data_types.ExecutionInfo, job: TrainJob) -> bool:
    if found["metadata"].get("deletionTimestamp") or condition(found, "Failed"):
        return False
    if not condition(found, "Complete"):
        return True
    artifacts = [one for listed in info.output_dict.values() for one in listed]
    whole = all(storage.is_whole(one.uri) for one in artifacts if storage.is_remote(one.uri))
    return whole and job.exchange.output() is not None


def _progress(found: Mapping[str, Any]) -> str:
    listed = found.get("status", {}).get("jobsStatus", ())
    counts = [f"{key} {one[key]}" for one in listed for key in ("active", "ready", "suspended") if one.get(key)]
    return ", ".join(counts) or "waiting for its pods"
