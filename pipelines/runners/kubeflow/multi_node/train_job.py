"""The TrainJob of one execution: found, started, ended, and what became of it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from tfx.orchestration.portable import data_types

from pipelines.runners.kubeflow.multi_node.exchange import Exchange
from pipelines.runners.kubeflow.multi_node.jobs import PATIENCE_S, TrainJobs
from pipelines.runners.kubeflow.multi_node.manifest import Owner, TrainJobRequest, job_name, manifest
from pipelines.runners.kubeflow.pod.staging import say
from quality.provenance import code_of
from spec import environment as env
from spec import exit_codes
from spec.errors import InputError

LOOK_EVERY_S = 5.0


class TrainJobFailed(RuntimeError):
    """The job failed in a way that another attempt may not meet again."""


class TrainJob:
    """The job of an execution; it has one name for all attempts of the node in a run.

    Attributes:
        nodes: how many pods it has.
        exchange: what it and this pod tell each other.
    """

    def __init__(self, request: TrainJobRequest, info: data_types.ExecutionInfo) -> None:
        self._request, self._jobs = request, TrainJobs(field(env.POD_NAMESPACE))
        self._node = info.pipeline_node.node_info.id
        self.name = job_name(str(info.pipeline_run_id), self._node, info.pipeline_info.id)
        self.nodes = int(request.template["spec"]["trainer"]["numNodes"])
        self.exchange = Exchange.of(info)

    def find(self, patience_s: float = PATIENCE_S) -> dict[str, Any] | None:
        """What the cluster says of it; None: it is not there.

        Args:
            patience_s: seconds that the API may be away.
        """
        return self._jobs.find(self.name, patience_s)

    def start(self, info: data_types.ExecutionInfo, executor: str) -> None:
        """Starts it.

        Args:
            info: what its pods execute, and with what.
        """
        self.exchange.clear(self.nodes)
        self.exchange.put_invocation(info)
        arguments = ["--folder", self.exchange.folder, "--executor", executor]
        arguments += ["--node", self._node, "--revision", code_of().revision]
        self._jobs.create(manifest(self._request, self.name, _owner(), arguments))
        say(f"TrainJob {self.name} with {self.nodes} nodes is started")

    def adopt(self, found: Mapping[str, Any]) -> None:
        """Makes it go with this pod, not only with the one that started it."""
        self._jobs.adopt(found, _owner())

    def delete(self, wait: bool = True) -> None:
        self._jobs.delete(self.name, wait)

    def failure(self, failed: Mapping[str, Any]) -> Exception:
        """Why it failed.

        Args:
            failed: its condition.
        """
        failures = self.exchange.failures(self.nodes)
        for one in failures.values():
            if one.code == exit_codes.FIX_INPUT:
                return InputError(one.message)
        said = "".join(f"; worker {index}: {one.message}" for index, one in failures.items())
        return TrainJobFailed(
            f"TrainJob {self.name}: {failed.get('reason', '')} {failed.get('message', '')}{said}; logs: kubectl logs -l "
            f"jobset.sigs.k8s.io/jobset-name={self.name} --prefix"
        )


def condition(found: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """A condition of a job that holds, such as Complete or Failed."""
    conditions = found.get("status", {}).get("conditions", ())
    return next((one for one in conditions if one["type"] == kind and one["status"] == "True"), None)


@contextlib.contextmanager
def ended_with_us(delete: Callable[[], None]) -> Iterator[None]:
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


def field(name: str) -> str:
    """One of the fields of its own that this pod is told (pods.py)."""
    value = os.environ.get(name, "")
    if not value:
        raise InputError(
            f"{name} is not set: several nodes need a Kubernetes cluster with Kubeflow Trainer. Elsewhere choose a pool with one node."
        )
    return value


def _owner() -> Owner:
    return Owner(field(env.POD_NAME), field(env.POD_UID))
