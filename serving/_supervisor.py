"""Starts the workers, tells them what to serve, and keeps them running."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence

from model_store import ModelStore
from serving._announcing import CannotServeError, announce, insist_ready
from serving.models.source import StoreSource
from serving.workers.messages import Staged
from serving.workers.process import WorkerProcess
from serving.workers.staging import Following, Stager
from spec import exit_codes

_log = logging.getLogger("serving")

_LOOK_SECONDS = 0.5
_LATE_SECONDS = 10.0
_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # read once, as prometheus_client is imported


async def supervise(
    options: argparse.Namespace, arguments: Sequence[str], listener: socket.socket, ready: Callable[[], None]
) -> None:
    """Serves with several workers until SIGTERM or SIGINT, then lets them drain.

    Args:
        arguments: of the command line, for the workers.
        ready: called when each worker answers.

    Raises:
        CannotServeError: the gRPC port is taken, or with --fail-fast a model cannot be served.
        StoreError: the store or the cache cannot be used.
    """
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-metrics-", dir=_in_memory()) as folder,
        _reserve(options) as reserved,
    ):
        os.environ[_SHARED] = folder
        await _Supervisor(options, arguments, listener, reserved).run(ready)


class _Supervisor:
    def __init__(
        self, options: argparse.Namespace, arguments: Sequence[str], listener: socket.socket, reserved: socket.socket
    ) -> None:
        # Not before _SHARED is set.
        from prometheus_client import multiprocess

        from serving.metrics import Metrics

        self._options = options
        self._listener = listener
        self._grpc_port = reserved.getsockname()[1]
        output = os.dup(1)  # for the access log; the workers' own is how they report
        how = {"rest": listener.fileno(), "grpc": self._grpc_port, "shared": os.environ[_SHARED], "output": output}
        environment = {_SHARED: os.environ[_SHARED]} | ({"PYTHONSAFEPATH": "1"} if sys.flags.safe_path else {})
        self._workers = [
            WorkerProcess(
                number,
                arguments,
                how,
                environment,
                (listener.fileno(), output),
                self._changed,
                multiprocess.mark_process_dead,
            )
            for number in range(1, options.workers + 1)
        ]
        self._store_failures = Metrics().store_failures
        source = StoreSource(ModelStore(options.store, memory=options.cache), options.cache)
        self._stager = Stager(source, options.model, self._store_failures.inc)
        self._following: Following | None = None
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, number)
        running = [asyncio.create_task(one.run()) for one in self._workers]
        self._following = Following(self._stager, self._options.poll_seconds, self._tried, self._tell)
        try:
            await self._until_all_began()
            ready()
            if not self._stopping.is_set():
                self._begin()
                await self._watch()
        finally:
            self._following.stop()
            self._stop(signal.SIGTERM)
            await self._ended(running)
            if self._options.ready_file:
                self._options.ready_file.unlink(missing_ok=True)

    def _begin(self) -> None:
        reports = [one.report for one in self._workers]
        why_not = {name: why for one in reports for name, why in one.why_not.items()}
        served = sorted({name for one in reports for name in one.served})
        insist_ready(self._options, served, why_not)
        announce(self._options, self._listener.getsockname()[1], self._grpc_port, why_not)
        _log.info("%d workers", len(self._workers))

    async def _until_all_began(self) -> None:
        while not self._stopping.is_set() and not all(one.report.began for one in self._workers):
            ended = [one for one in self._workers if one.code is not None and not one.report.began]
            if any(one.code == exit_codes.FIX_INPUT for one in ended):
                raise CannotServeError("a worker cannot start; its line above says why.")
            await self._wait()

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            await self._wait()
            for one in self._workers:
                one.look_after()

    async def _wait(self) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return

    async def _ended(self, running: Sequence[asyncio.Task[None]]) -> None:
        seconds = self._options.lame_duck_seconds + self._options.drain_seconds + _LATE_SECONDS
        _, late = await asyncio.wait(running, timeout=seconds)
        for one in self._workers if late else ():
            one.stop(signal.SIGKILL)
        await asyncio.gather(*running, return_exceptions=True)

    def _stop(self, number: signal.Signals) -> None:
        if not self._stopping.is_set() or number == signal.SIGINT:
            for one in self._workers:
                one.stop(number)
        self._stopping.set()
        self._news.set()

    def _changed(self) -> None:
        self._news.set()
        if self._following is not None:
            self._following.look()

    def _tried(self, name: str, version: int) -> bool:
        """Whether each worker that answers has loaded or refused a version."""
        began = [one.report for one in self._workers if one.report.began]
        return bool(began) and all(version in one.tried.get(name, ()) for one in began)

    def _tell(self, staged: Staged) -> None:
        self._loop.call_soon_threadsafe(self._tell_all, staged)

    def _tell_all(self, staged: Staged) -> None:
        for one in self._workers:
            one.tell(staged)


def _in_memory() -> str | None:
    """A place for files that workers map into memory: on a disk that is full, writing to one ends the worker."""
    place = "/dev/shm"  # noqa: S108 - the folder in it is ours alone
    return place if os.access(place, os.W_OK) else None


def _reserve(options: argparse.Namespace) -> socket.socket:
    """A socket that keeps the gRPC port for the workers, and does not listen."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    kept = socket.socket(family, socket.SOCK_STREAM)
    try:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind((options.host, options.grpc_port))
    except OSError as error:
        kept.close()
        raise CannotServeError(
            f"cannot listen on {options.host}:{options.grpc_port} for gRPC: {error.strerror}. "
            "Choose another --grpc-port; 0 takes any free one."
        ) from None
    return kept
