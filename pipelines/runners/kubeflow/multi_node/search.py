"""In the Tuner's own pod: the executor keeps the trials, and the pods of a TrainJob try them."""

from __future__ import annotations

import time
from typing import Any

import attr
from google.protobuf import message
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import execution_result_pb2

from components.tuner import machines
from components.tuner.participant import Participant
from pipelines.runners.kubeflow.multi_node.jobs import JobsAway
from pipelines.runners.kubeflow.multi_node.manifest import TrainJobRequest
from pipelines.runners.kubeflow.multi_node.train_job import (
    LOOK_EVERY_S,
    TrainJob,
    TrainJobFailed,
    condition,
    ended_with_us,
    field,
)
from pipelines.runners.kubeflow.pod.staging import StagedPythonOperator, say
from spec import environment as env
from spec.errors import InputError

_PARTICIPANT = f"{Participant.__module__}.{Participant.__qualname__}"


class SearchOperator(StagedPythonOperator):
    """Runs the Tuner's executor in this pod, and lends it the pods of a TrainJob.

    An attempt that finds the job of an earlier one replaces it, since its pods ask that one for trials.
    """

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
        """Runs the search to its end.

        Raises:
            InputError: a participant, or the cluster, says something that trying again would meet again.
            TrainJobFailed: no participant is left.
            KeyboardInterrupt: this pod is told to end; the job is deleted.
        """
        job = TrainJob(self._request, execution_info)
        with ended_with_us(lambda: job.delete(wait=False)), machines.lent(_Pods(job, execution_info)):
            try:
                return super().run_executor(execution_info)
            except (InputError, TrainJobFailed):
                raise  # the job has ended by itself, or was not started; its logs may be read
            except Exception:
                job.delete(wait=False)  # nobody answers its pods any more
                raise


class _Pods:
    """The pods of a TrainJob, as the Tuner's executor sees them (components.tuner.machines.Machines).

    Args:
        info: of the Tuner; its URIs are those that every pod can read.
    """

    def __init__(self, job: TrainJob, info: data_types.ExecutionInfo) -> None:
        self._job, self._info, self._looked = job, info, 0.0
        self.name, self.count, self.host = job.name, job.nodes, field(env.POD_IP)

    def clear(self) -> None:
        if self._job.find() is not None:
            say(f"TrainJob {self.name} is there from an earlier attempt; another takes its place")
            self._job.delete()

    def start(self, proxy: str) -> None:
        told = {**self._info.exec_properties, machines.STUDY: self.name, machines.PROXY: proxy}
        self._job.start(attr.evolve(self._info, exec_properties=told, output_dict={}), _PARTICIPANT)

    def check(self) -> None:
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        try:
            found = self._job.find(patience_s=0)
        except JobsAway:
            return  # the pods go on without it
        if found is None:
            raise TrainJobFailed(f"TrainJob {self.name} is gone: somebody deleted it")
        if failed := condition(found, "Failed"):
            raise self._job.failure(failed)

    def dismiss(self, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            found: dict[str, Any] | None = self._job.find()
            if found is None or condition(found, "Complete") or condition(found, "Failed"):
                return
            time.sleep(1)
        self._job.delete(wait=False)
