"""Watches Beam's worker processes on this machine.

Beam 2.77 starts them for `--direct_running_mode=multi_processing` and does not notice when one ends. If a worker is killed, most
likely by the kernel for lack of memory, before it has connected or during a stage that sends nothing back, such as a write, the
pipeline hangs. With these workers the pipeline fails, and they end with the process that started them.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import uuid
import weakref
from typing import Any

from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.transforms import environments
from google.protobuf import text_format

_URN = "trainyard:env:watched_processes:v1"
_SECONDS_TO_LEAVE = 10


class WorkerLost(ConnectionError):
    """A worker process ended before its work did. Its output is discarded; the same work may succeed when run again."""


class Crew:
    """The worker processes of one pipeline.

    Attributes:
        lost: the error of the first worker that ended too early, if any.
    """

    _by_name: weakref.WeakValueDictionary[str, Crew] = weakref.WeakValueDictionary()

    def __init__(self) -> None:
        self.lost: WorkerLost | None = None
        self._name = uuid.uuid4().hex
        self._workers: list[_WatchedWorker] = []
        self._by_name[self._name] = self

    def environment(self) -> environments.Environment:
        """The environment by which a runner starts this crew's workers."""
        return _Environment(self._name, capabilities=environments.python_sdk_capabilities())

    def _lose(self, code: int) -> None:
        if self.lost is None:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            memory = ", as the kernel does when memory runs out" if code == -signal.SIGKILL else ""
            self.lost = WorkerLost(
                f"a Beam worker process {how}{memory}; nothing of its work was kept. Run again, with fewer workers "
                "(--beam direct_num_workers=N) if memory is short."
            )
        for worker in self._workers:  # their work is useless without the lost one's
            worker.dismiss()


@environments.Environment.register_urn(_URN, bytes)
class _Environment(environments.SubprocessSDKEnvironment):
    def to_runner_api_parameter(self, context: Any) -> tuple[str, bytes]:
        return _URN, self.command_string.encode()


@worker_handlers.WorkerHandler.register_environment(_URN, bytes)
class _WatchedWorker(worker_handlers.GrpcWorkerHandler):
    """Beam's SubprocessSdkWorkerHandler, but noticing when its process ends."""

    def __init__(self, crew: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._crew = Crew._by_name[crew.decode()]
        self._crew._workers.append(self)
        self._dismissed = False
        self._closed = threading.Event()

    def start_worker(self) -> None:
        command = [sys.executable, "-P", "-m", "components.columnar._worker_main", str(os.getpid())]
        self._process = subprocess.Popen(command, env=self._environment())
        threading.Thread(target=self._watch, name=f"watch {self.worker_id}", daemon=True).start()

    def stop_worker(self) -> None:
        try:
            self._process.wait(_SECONDS_TO_LEAVE)
        except subprocess.TimeoutExpired:
            self.dismiss()

    def close(self) -> None:
        if self.control_conn._futures_by_id:
            self.dismiss()  # the pipeline has failed, and nobody needs what this worker is doing
        self._dismissed = True
        try:
            super().close()
        finally:
            self._closed.set()

    def dismiss(self) -> None:
        """Ends the process deliberately, so that its end is not reported as a loss."""
        if self._process.poll() is None:
            self._dismissed = True
            self._process.kill()

    def _watch(self) -> None:
        code = self._process.wait()
        if not self._dismissed:
            self._crew._lose(code)
        # Beam's threads wait indefinitely for answers, output and room to send; release all of them.
        while not self._closed.wait(0.2):
            lost = self._crew.lost or WorkerLost("a Beam worker process was ended")
            for future in list(self.control_conn._futures_by_id.values()):
                future.abort(lost)
            self.data_conn._exception = lost
            with contextlib.suppress(queue.Empty):
                while True:
                    self.data_conn._to_send.get_nowait()

    def _environment(self) -> dict[str, str]:
        describe = text_format.MessageToString
        return {
            **os.environ,
            # Our packages may be importable only because of the working folder or a test runner.
            "PYTHONPATH": os.pathsep.join(path or str(pathlib.Path.cwd()) for path in sys.path),
            "CONTROL_API_SERVICE_DESCRIPTOR": describe(self.control_api_service_descriptor()),
            "LOGGING_API_SERVICE_DESCRIPTOR": describe(self.logging_api_service_descriptor()),
            "WORKER_ID": self.worker_id,
        }
