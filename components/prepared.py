"""A child process that has imported what its work needs, and waits for the request.

Great Expectations and TensorFlow take seconds to import, and the process that runs the pipeline imports on one core. A
runner that knows what comes next says so; whoever does the work takes the child that waits, or starts one where none does:

    prepared.prepare("components.golden.worker")  # early, in the runner
    with prepared.take("components.golden.worker") as worker:  # in the executor, on any platform
        answer = worker.ask({"examples_uri": ...})

A worker module has `warm()`, which imports, and `work(request)`, whose answer is JSON again. A child never outlives its
parent: it dies when the parent does, ends when nobody can ask it any more, and `close` leaves neither it nor its children.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from typing import IO, Any

from spec.errors import InputError

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 8192

_waiting: dict[str, Worker] = {}


class WorkerDied(RuntimeError):
    """A worker ended without an answer."""


class Worker:
    """A child process for one request, in a session of its own.

    Start it in the main thread: Linux counts the death of the thread that started a child as its parent's.

    Args:
        module: with `warm` and `work`.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        # Files without a name: nothing is left of them, however this process ends.
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._answer: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        python_path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "components.prepared", module, str(self._answer.fileno()), str(os.getpid())],
            env={**os.environ, "PYTHONPATH": python_path},
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(self._answer.fileno(),),
            start_new_session=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Mapping[str, Any]) -> None:
        """Hands over the request; a worker that died meanwhile shows in `answer`."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.close()

    @property
    def alive(self) -> bool:
        """Whether the process runs. One that ended is not reaped before `close`: until then its number stays its own."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def answer(self) -> Any:
        """Waits for the end of the process, and returns what its `work` returned.

        Raises:
            InputError: `work` did.
            OSError: `work` did, of this kind and about this file.
            WorkerDied: it ended without an answer; what it wrote last is in the message.
        """
        if self.process.returncode is None:
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
            self.end()
        code = self.process.returncode
        written = os.pread(self._answer.fileno(), os.fstat(self._answer.fileno()).st_size, 0)
        if code or not written:
            raise WorkerDied(f"the process of {self.module} {_how(code)}: {self.last_line() or 'it wrote nothing'}")
        found = json.loads(written)
        if "input_error" in found:
            raise InputError(found["input_error"])
        if "os_error" in found:
            raise OSError(*found["os_error"])
        return found["answer"]

    def ask(self, request: Mapping[str, Any]) -> Any:
        """`send` and `answer`."""
        self.send(request)
        return self.answer()

    def log(self) -> str:
        """The end of what the process wrote."""
        size = os.fstat(self._log.fileno()).st_size
        # A position of our own: the file's belongs to the child as well.
        return os.pread(self._log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode("utf-8", "replace")

    def last_line(self) -> str:
        """An exception's message, as a rule."""
        lines = [line.strip() for line in self.log().splitlines() if line.strip()]
        return lines[-1][:400] if lines else ""

    def close(self) -> None:
        """`end`, and forgets what it wrote; may be called again."""
        self.end()
        self._log.close()
        self._answer.close()

    def end(self) -> None:
        """Ends the process and those that it started; what it wrote stays."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit status {code}"
    hint = " (most likely by the kernel, for lack of memory)" if -code == signal.SIGKILL else ""
    return f"died of {signal.Signals(-code).name}{hint}"


def prepare(module: str) -> None:
    """Starts a worker that imports while its parent does something else; where one waits already, nothing."""
    if module not in _waiting:
        with contextlib.suppress(OSError):  # no memory or process left for what is only a head start
            _waiting[module] = Worker(module)


def take(module: str) -> Worker:
    """The worker that waits, or a new one; the caller closes it."""
    worker = _waiting.pop(module, None)
    if worker is not None:
        if worker.alive:
            return worker
        worker.close()
    return Worker(module)


def dismiss() -> None:
    """Ends the workers that nobody took."""
    while _waiting:
        _waiting.popitem()[1].close()


def die_with(parent: int) -> bool:
    """Has the kernel kill this process when its parent dies; whether the parent, a process id, still lives."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent  # else it died before we could ask to die with it


def main(arguments: list[str]) -> int:
    """The child: import, wait, work once."""
    name, answer_file, parent = arguments[0], int(arguments[1]), int(arguments[2])
    if not die_with(parent):
        return 1
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module = importlib.import_module(name)
    module.warm()
    request = sys.stdin.buffer.readline()
    if not request.endswith(b"\n"):
        return 0  # nobody will ask
    try:
        found: dict[str, Any] = {"answer": module.work(json.loads(request))}
    except InputError as error:
        traceback.print_exc()
        found = {"input_error": str(error)}
    except OSError as error:
        if error.errno is None:
            raise
        traceback.print_exc()
        found = {"os_error": [error.errno, error.strerror, error.filename]}
    with os.fdopen(answer_file, "wb") as file:
        file.write(json.dumps(found).encode())
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of what was imported need not be wound up, and some take seconds over it.
    os._exit(code)
