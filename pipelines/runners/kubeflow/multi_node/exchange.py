"""What the Trainer's pod and its workers tell each other: small files beside the execution's others, in the store or volume.

Workers have no access to the metadata store and need none: they read what to do, and say how it went.
"""

from __future__ import annotations

import dataclasses
import json

from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import execution_invocation_pb2, execution_result_pb2

import storage

_INVOCATION, _OUTPUT = "invocation.pb", "output.pb"


@dataclasses.dataclass(frozen=True)
class Failure:
    """How a failed worker ended.

    Attributes:
        code: its exit code; 2: trying again is no use.
    """

    message: str
    code: int


class Exchange:
    """The files of one execution.

    Args:
        folder: a URI, or a path that all pods mount.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @classmethod
    def of(cls, info: data_types.ExecutionInfo) -> Exchange:
        return cls(f"{str(info.execution_output_uri).rpartition('/')[0]}/train-job")

    def clear(self, workers: int) -> None:
        """Removes what an earlier job left."""
        for name in (_OUTPUT, *(_failure(index) for index in range(workers))):
            storage.remove(f"{self.folder}/{name}")

    def put_invocation(self, info: data_types.ExecutionInfo) -> None:
        storage.write(f"{self.folder}/{_INVOCATION}", info.to_proto().SerializeToString(deterministic=True))

    def invocation(self) -> data_types.ExecutionInfo:
        content = storage.read(f"{self.folder}/{_INVOCATION}")
        return data_types.ExecutionInfo.from_proto(execution_invocation_pb2.ExecutionInvocation.FromString(content))

    def put_output(self, output: execution_result_pb2.ExecutorOutput) -> None:
        """Written last by the chief, when its artifacts are complete."""
        storage.write(f"{self.folder}/{_OUTPUT}", output.SerializeToString(deterministic=True))

    def output(self) -> execution_result_pb2.ExecutorOutput | None:
        content = storage.read_if_there(f"{self.folder}/{_OUTPUT}")
        return None if content is None else execution_result_pb2.ExecutorOutput.FromString(content)

    def put_failure(self, worker: int, failure: Failure) -> None:
        text = json.dumps(dataclasses.asdict(failure))
        storage.write(f"{self.folder}/{_failure(worker)}", text.encode())

    def failures(self, workers: int) -> dict[int, Failure]:
        """Failures by worker; a killed worker leaves none."""
        found = {}
        for index in range(workers):
            if content := storage.read_if_there(f"{self.folder}/{_failure(index)}"):
                read = json.loads(content)
                found[index] = Failure(str(read["message"]), int(read["code"]))
        return found


def _failure(worker: int) -> str:
    return f"failure-{worker}.json"
