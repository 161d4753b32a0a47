"""The access log: a line a request, who asked what and how it went, and nothing of what was asked or answered.

    {"at": "2026-01-31T09:30:00.123+00:00", "request_id": "8c5fb2", "trace_id": "0af7651916cd43dd8448eb211c80319c",
     "protocol": "rest", "path": "/v1/models/taxi:predict", "method": "predict", "model": "taxi", "version": 3, "label": "stable",
     "rows": 1, "ms": 1.9, "code": 200, "key": "shop", "bytes_in": 160, "bytes_out": 72}

A request never waits for it: lines that do not fit into the queue are dropped and counted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import queue
import threading
from typing import Any

import orjson

from serving.inference.exchange import Exchange
from serving.metrics import Metrics

_QUEUE = 4096
_LOOK_SECONDS = 0.5
_MOST_PATH_CHARACTERS = 256
STANDARD_OUTPUT = "-"
_log = logging.getLogger(__name__)


class AccessLog:
    """Writes lines in a thread of its own.

    Args:
        path: a file that is appended to, and made anew when it has been moved away; `-`: standard output.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str, metrics: Metrics) -> None:
        self._path = None if path == STANDARD_OUTPUT else pathlib.Path(path)
        self._lines = metrics.access_lines
        self._file = self._open()
        self._queue: queue.Queue[Exchange | None] = queue.Queue(_QUEUE)
        self._failing = ""
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def offer(self, exchange: Exchange) -> None:
        """Takes a request that is answered; returns at once."""
        try:
            self._queue.put_nowait(exchange)
        except queue.Full:
            self._lines.labels("dropped").inc()

    def close(self) -> None:
        """Writes what is queued and ends."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=1)
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            try:
                exchange = self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                self._follow_the_name()
                continue
            if exchange is None:
                return
            self._write(exchange)

    def _write(self, exchange: Exchange) -> None:
        try:
            os.write(self._file, describe(exchange))  # one call a line: several processes append to one file
        except OSError as error:
            self._lines.labels("failed").inc()
            if self._failing != (problem := f"{type(error).__name__}: {error}"):
                _log.warning("the access log is not written: %s", problem)
            self._failing = problem
        else:
            self._failing = ""
            self._lines.labels("written").inc()

    def _follow_the_name(self) -> None:
        """Begins a new file where something has moved ours away, as logrotate does."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            if not self._path.exists() or not os.path.samestat(self._path.stat(), os.fstat(self._file)):
                anew = self._open()
                os.close(self._file)
                self._file = anew

    def _open(self) -> int:
        """Readable by this user alone: it says who asked when."""
        if self._path is None:
            return os.dup(1)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def describe(exchange: Exchange) -> bytes:
    """The line of a request; what is not known of it is left out."""
    told: dict[str, Any] = {
        "at": exchange.at.isoformat(timespec="milliseconds"),
        "request_id": exchange.request_id,
        "trace_id": exchange.trace_id,
        "protocol": exchange.protocol,
        "path": exchange.path[:_MOST_PATH_CHARACTERS],
        "method": exchange.method,
        "model": exchange.model,
        "version": int(exchange.version) if exchange.version else "",
        "label": exchange.label,
        "rows": exchange.rows or "",
        "ms": round(exchange.seconds * 1000, 3),
        "code": exchange.code,
        "key": exchange.key,
        "bytes_in": exchange.bytes_in,
        "bytes_out": exchange.bytes_out,
    }
    return orjson.dumps({name: value for name, value in told.items() if value != ""}) + b"\n"
