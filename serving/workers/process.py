"""A worker as the supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from serving.workers.messages import Report, Staged

_log = logging.getLogger("serving")

_MOST_LINE_BYTES = 1 << 24
_SILENT_SECONDS = 60.0
"""A worker that says nothing for so long hangs: to load a model, TensorFlow holds Python's lock for seconds."""


class WorkerProcess:
    """One of the workers, started anew whenever it ends.

    Args:
        number: from 1.
        arguments: of the server's command line.
        how: what a worker is told of its place, beside its number and whether this is its first start.
        environment: variables besides this process's own.
        descriptors: of files that it inherits.
        changed: called when it has reported something new, or has ended.
        gone: called with the process id of one that has ended.
    """

    def __init__(
        self,
        number: int,
        arguments: Sequence[str],
        how: Mapping[str, object],
        environment: Mapping[str, str],
        descriptors: Sequence[int],
        changed: Callable[[], None],
        gone: Callable[[int], None],
    ) -> None:
        self.number = number
        self.report = Report()
        self.code: int | None = None
        self._arguments, self._how, self._environment = arguments, how, environment
        self._descriptors, self._changed, self._gone = descriptors, changed, gone
        self._process: asyncio.subprocess.Process | None = None
        self._heard = time.monotonic()
        self._staged: Staged | None = None
        self._starts = 0
        self._stopping = False

    async def run(self) -> None:
        """Keeps it running until `stop`."""
        quick_ends = 0
        while not self._stopping:
            began = time.monotonic()
            await self._once()
            if self._stopping:
                return
            quick_ends = 0 if time.monotonic() - began > 30 else quick_ends + 1
            wait = min(30.0, 0.0 if quick_ends <= 1 else 2.0**quick_ends)
            _log.error(
                "worker %d ended with %s; it is started again%s",
                self.number,
                self.code,
                f" in {wait:.0f} s" if wait else "",
            )
            await asyncio.sleep(wait)

    def tell(self, staged: Staged) -> None:
        """What there is to serve; a worker that starts later is told as well."""
        self._staged = staged
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(staged.to_line())

    def stop(self, number: signal.Signals) -> None:
        """Passes a signal on; the worker is not started again."""
        self._stopping = True
        with contextlib.suppress(ProcessLookupError):
            if self._process is not None:
                self._process.send_signal(number)

    def look_after(self) -> None:
        """Ends a worker that hangs."""
        if self._process is not None and time.monotonic() - self._heard > _SILENT_SECONDS:
            _log.error("worker %d has said nothing for %.0f s; it is killed", self.number, _SILENT_SECONDS)
            self._heard = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _once(self) -> None:
        how = {**self._how, "number": self.number, "first": self._starts == 0}
        self._starts += 1
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "serving._worker",
            json.dumps(how),
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MOST_LINE_BYTES,
            pass_fds=self._descriptors,
            env=os.environ | self._environment,
            start_new_session=True,  # Ctrl-C reaches the supervisor, which passes it on
        )
        self._process, self._heard = process, time.monotonic()
        if self._staged is not None:
            self.tell(self._staged)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self._heard = time.monotonic()
                report = Report.from_line(line)
                if report != self.report:
                    self.report = report
                    self._changed()
        finally:
            self.code = await process.wait()
            self._process, self.report = None, Report()
            self._gone(process.pid)
            self._changed()
