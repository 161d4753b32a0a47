"""In the Trainer's own pod: starts the TrainJob instead of the executor, waits for it, and hands its outputs to TFX's launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from google.protobuf import message
from tfx.orchestration.portable import base_executor_operator, data_types
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2

import storage
from pipelines.runners.kubeflow.multi_node.exchange import Exchange
from pipelines.runners.kubeflow.multi_node.jobs import TrainJobs
from pipelines.runners.kubeflow.multi_node.manifest import Owner, TrainJobRequest, job_name, manifest
from pipelines.runners.kubeflow.pod.staging import say
from quality.provenance import code_of
from spec import environment as env
from spec import exit_codes
from spec.errors import InputError

# Set from the pod's own fields (pods.py).
_LOOK_EVERY_S = 5.0


class TrainJobFailed(RuntimeError):
    """The job failed in a way that another attempt may not meet again."""


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
        self._workers = int(request.template["spec"]["trainer"]["numNodes"])

    def run_executor(self, execution_info: data_types.ExecutionInfo) -> execution_result_pb2.ExecutorOutput:
        """Runs the job to its end.

        Raises:
            InputError: a worker, or the cluster, says something that trying again would meet again.
            TrainJobFailed: the job failed otherwise.
            KeyboardInterrupt: this pod is told to end; the job is deleted.
        """
        exchange, jobs = Exchange.of(execution_info), TrainJobs(_field(env.POD_NAMESPACE))
        info = execution_info.pipeline_info
        name = job_name(str(execution_info.pipeline_run_id), execution_info.pipeline_node.node_info.id, info.id)
        with _ended_with_us(lambda: jobs.delete(name, wait=False)):
            self._start_or_attach(jobs, name, execution_info, exchange)
            self._wait(jobs, name, exchange)
        output = exchange.output()
        if output is None:
            raise TrainJobFailed(f"TrainJob {name} is complete and its chief has left no outputs")
        return output

    def _start_or_attach(self, jobs: TrainJobs, name: str, info: data_types.ExecutionInfo, exchange: Exchange) -> None:
        owner = Owner(_field(env.POD_NAME), _field(env.POD_UID))
        job = jobs.find(name)
        if job is not None and _is_of_use(job, info, exchange):
            say(f"TrainJob {name} is there from an earlier attempt")
            jobs.adopt(job, owner)
            return
        if job is not None:
            say(f"TrainJob {name} has failed before; another takes its place")
            jobs.delete(name)
        exchange.clear(self._workers)
        for artifacts in info.output_dict.values():
            for artifact in artifacts:
                storage.discard(artifact.uri)
        exchange.put_invocation(info)
        arguments = ["--folder", exchange.folder, "--executor", self._executor_spec.class_path]
        arguments += ["--node", info.pipeline_node.node_info.id, "--revision", code_of().revision]
        jobs.create(manifest(self._request, name, owner, arguments))
        say(f"TrainJob {name} with {self._workers} nodes is started")

    def _wait(self, jobs: TrainJobs, name: str, exchange: Exchange) -> None:
        told = ""
        while True:
            # However long the API is away: the job goes on without it, and KFP's deadline ends this pod.
            job = jobs.find(name, patience_s=float("inf"))
            if job is None:
                raise TrainJobFailed(f"TrainJob {name} is gone: somebody deleted it")
            if condition := _condition(job, "Complete"):
                say(f"TrainJob {name}: {condition.get('message') or 'complete'}")
                return
            if condition := _condition(job, "Failed"):
                raise self._failure(name, condition, exchange)
            if (progress := _progress(job)) != told:
                say(f"TrainJob {name}: {progress}")
                told = progress
            time.sleep(_LOOK_EVERY_S)

    def _failure(self, name: str, condition: Mapping[str, Any], exchange: Exchange) -> Exception:
        failures = exchange.failures(self._workers)
        for failure in failures.values():
            if failure.code == exit_codes.FIX_INPUT:
                return InputError(failure.message)
        said = "".join(f"; worker {index}: {failure.message}" for index, failure in failures.items())
        return TrainJobFailed(
            f"TrainJob {name}: {condition.get('reason', '')} {condition.get('message', '')}{said}; logs: kubectl logs -l "
            f"jobset.sigs.k8s.io/jobset-name={name} --prefix"
        )


def _is_of_use(job: Mapping[str, Any], info: data_types.ExecutionInfo, exchange: Exchange) -> bool:
    if job["metadata"].get("deletionTimestamp") or _condition(job, "Failed"):
        return False
    if not _condition(job, "Complete"):
        return True
    artifacts = [one for listed in info.output_dict.values() for one in listed]
    whole = all(storage.is_whole(one.uri) for one in artifacts if storage.is_remote(one.uri))
    return whole and exchange.output() is not None


def _condition(job: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    conditions = job.get("status", {}).get("conditions", ())
    return next((one for one in conditions if one["type"] == kind and one["status"] == "True"), None)


def _progress(job: Mapping[str, Any]) -> str:
    listed = job.get("status", {}).get("jobsStatus", ())
    counts = [f"{key} {one[key]}" for one in listed for key in ("active", "ready", "suspended") if one.get(key)]
    return ", ".join(counts) or "waiting for its pods"


@contextlib.contextmanager
def _ended_with_us(delete: Callable[[], None]) -> Iterator[None]:
    """Deletes the job when this pod is told to end: by KFP's "terminate", a deadline, or its node going away."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("told to end: the TrainJob is deleted")
        delete()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _field(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise InputError(
            f"{name} is not set: several nodes need a Kubernetes cluster with Kubeflow Trainer. Elsewhere choose a pool with one node."
        )
    return value
