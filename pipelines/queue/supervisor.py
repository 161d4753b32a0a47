"""`trainyard predict --queue`: starts consumers, replaces those that die, and adds up what they report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import storage
from model_store import ModelStore
from pipelines.queue.items import allowed_prefix
from pipelines.queue.opening import open_queue
from pipelines.queue.settings import Settings
from spec import exit_codes, home
from spec.errors import InputError
from spec.run_ids import new_run_id

_PROGRESS_S = 10.0
_MOST_FALSE_STARTS = 3
"""So many consumers in a row may end before they have answered anything, and for a reason of their own."""


@dataclasses.dataclass(frozen=True)
class QueueRequest:
    """What to predict for, and where to put it.

    Attributes:
        model: in the model store.
        queue: a folder, or `redis://host:port/db?stream=name`.
        out: folder or URL of the results, a file an item.
        release: a label, which is followed when it moves, or a version.
        consumers: processes that answer items.
        attempts: how often an item is tried that fails for no reason of its own, or kills its consumer.
        drain: whether to end when the queue is empty; else when told to (SIGTERM).
        allow: folders and URLs below which items may name files; empty: items bring their rows along.
    """

    model: str
    queue: str
    out: str
    release: str = "stable"
    consumers: int = 1
    attempts: int = 3
    drain: bool = False
    allow: tuple[str, ...] = ()


@dataclasses.dataclass
class QueueResult:
    """What came of it.

    Attributes:
        done: items that have a result.
        found: those among them that had one already.
        failed: items set aside, with the reason.
        rows: that were answered, or have a reason why not.
        failed_rows: of these the latter.
        restarts: consumers that took a dead one's place.
        error: why it ended before its time; empty if it did not.
    """

    done: int = 0
    found: int = 0
    failed: int = 0
    rows: int = 0
    failed_rows: int = 0
    restarts: int = 0
    seconds: float = 0.0
    error: str = ""
    exit_code: int = exit_codes.OK
    log: str = ""

    def line(self) -> str:
        """In words."""
        found = f" ({self.found:,} had a result already)" if self.found else ""
        without = f" ({self.failed_rows:,} without answer)" if self.failed_rows else ""
        speed = self.rows / self.seconds if self.seconds else 0.0
        return (
            f"{self.done:,} items done{found}, {self.failed:,} failed; {self.rows:,} rows{without} in {self.seconds:,.1f} s, "
            f"{speed:,.0f} rows/s"
        )

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self) | {"seconds": round(self.seconds, 3)})


def predict_from_queue(request: QueueRequest, say: Callable[[str], None]) -> QueueResult:
    """Predicts for the items of a queue, each once, until the queue is empty or SIGTERM or Ctrl-C says that it is enough.

    Args:
        say: is told how it goes, a line at a time.

    Raises:
        InputError, StoreError: the request is wrong; nothing was started.
        TryAgainError: the queue does not answer.
    """
    ModelStore(home.store_uri()).resolve(request.model, request.release)
    _check_out(request)
    with contextlib.redirect_stdout(sys.stderr):
        open_queue(request.queue, request.model, "supervisor").close()
    folder = home.runs_root(f"{request.model}.predict") / new_run_id()
    folder.mkdir(parents=True)
    log = folder / "log.txt"
    with tempfile.TemporaryDirectory(prefix="trainyard-queue-") as scratch, log.open("ab") as output:
        crew = _Crew(request, pathlib.Path(scratch), output, say)
        crew.result.log = str(log)
        with _signals(crew):
            crew.run()
    say(crew.result.line())
    return crew.result


def _check_out(request: QueueRequest) -> None:
    if storage.is_remote(request.out):
        storage.open_files(request.out)
        return
    out, queue = (
        pathlib.Path(uri.removeprefix("file://")).expanduser().resolve() for uri in (request.out, request.queue)
    )
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {request.out}: is a file. Name a folder.")
    if out == queue:
        raise InputError(f"--out {request.out}: is the queue, where results would be items. Name another folder.")


@dataclasses.dataclass
class _Member:
    """A consumer that runs; `reports` is its end of a pipe, `heard` a report that has not ended."""

    slot: int
    process: subprocess.Popen[bytes]
    reports: int
    heard: bytes = b""
    ready: bool = False
    reported: bool = False


class _Crew:
    """The consumers of a run."""

    def __init__(
        self, request: QueueRequest, scratch: pathlib.Path, output: IO[bytes], say: Callable[[str], None]
    ) -> None:
        self.result = QueueResult()
        self._request, self._scratch, self._output, self._say = request, scratch, output, say
        self._name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._selector = selectors.DefaultSelector()
        self._members: dict[int, _Member] = {}
        self._stopping = False
        self._false_starts = 0

    def run(self) -> None:
        """Starts all, and returns when all have ended."""
        started = spoken = time.monotonic()
        try:
            for slot in range(1, self._request.consumers + 1):
                if not self._stopping:
                    self._start(slot)
            while self._members:
                for key, _ in self._selector.select(timeout=1.0):
                    self._hear(key.data)
                self.result.seconds = time.monotonic() - started
                if self._members and time.monotonic() - spoken > _PROGRESS_S:
                    spoken = time.monotonic()
                    self._say(self.result.line())
        finally:
            for member in self._members.values():
                member.process.kill()
                member.process.wait()

    def stop(self, code: int) -> None:
        """Lets each consumer finish what it has at hand."""
        self._stopping = True
        self.result.exit_code = self.result.exit_code or code
        for member in self._members.values():
            member.process.terminate()

    def _start(self, slot: int) -> None:
        request, folder = self._request, self._scratch / str(slot)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        settings = Settings(
            name=f"{self._name}-{slot}",  # a consumer inherits what the one before it had at hand
            queue=request.queue,
            out=request.out,
            model=request.model,
            release=request.release,
            attempts=request.attempts,
            drain=request.drain,
            allowed=[allowed_prefix(uri) for uri in request.allow],
            scratch=str(folder),
            parent=os.getpid(),
        )
        python_path = os.pathsep.join(filter(None, (str(home.ROOT), os.environ.get("PYTHONPATH"))))
        reader, writer = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipelines.queue.consumer", settings.to_json(), str(writer)],
            env={"TF_CPP_MIN_LOG_LEVEL": "1", **os.environ, "PYTHONPATH": python_path},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            pass_fds=(writer,),
        )
        os.close(writer)
        member = _Member(slot, process, reader)
        self._members[slot] = member
        self._selector.register(member.reports, selectors.EVENT_READ, member)

    def _hear(self, member: _Member) -> None:
        """Takes reports in; where there are no more, the consumer has ended."""
        if told := os.read(member.reports, 1 << 16):
            *lines, member.heard = (member.heard + told).split(b"\n")
            for line in lines:
                self._count(member, json.loads(line))
            return
        self._selector.unregister(member.reports)
        os.close(member.reports)
        code = member.process.wait()
        del self._members[member.slot]
        if code and not member.reported and not self._stopping:
            self._replace(member, code)

    def _count(self, member: _Member, report: Mapping[str, Any]) -> None:
        for name in ("done", "found", "rows", "failed_rows"):
            setattr(self.result, name, getattr(self.result, name) + report.get(name, 0))
        if "done" in report or "failed" in report:
            self._false_starts = 0
        if "failed" in report:
            self.result.failed += 1
            self._say(f"{report['failed']} is set aside: {report['reason']}")
        if "ready" in report:
            member.ready = True
            self._say(f"consumer {member.slot} (pid {member.process.pid}) is ready: release {report['ready']}")
        if "note" in report:
            self._say(f"consumer {member.slot}: {report['note']}")
        if "error" in report:
            member.reported = True
            self._end(report["error"], report["code"])

    def _replace(self, member: _Member, code: int) -> None:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        if not member.ready or code > 0:
            self._false_starts += 1
        if self._false_starts >= _MOST_FALSE_STARTS:
            self._end(
                f"{self._false_starts} consumers in a row {how}; {self.result.log} says more", exit_codes.MAY_RETRY
            )
            return
        self._say(f"consumer {member.slot} (pid {member.process.pid}) {how}; another takes its place")
        self.result.restarts += 1
        self._start(member.slot)

    def _end(self, error: str, code: int) -> None:
        self.result.error = self.result.error or error
        self.stop(code)


@contextlib.contextmanager
def _signals(crew: _Crew) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the run when each consumer has finished what it has at hand."""
    codes = {signal.SIGTERM: exit_codes.OK, signal.SIGINT: exit_codes.INTERRUPTED}
    before = {number: signal.signal(number, lambda n, _: crew.stop(codes[signal.Signals(n)])) for number in codes}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
