"""A sampled record of requests and answers of limited size, for shadow comparisons and training-serving skew.

JSON lines in segments, `<folder>/<model>/<time>-<pid>.jsonl`, one line per row:

    {"at": "2026-01-31T09:30:00.123+00:00", "request_id": "8c5fb2", "row": 0, "model": "taxi", "version": 3, "label": "stable",
     "columns": {"fare": 9.5, "company": null}, "prediction": {"label": "1", "probability": 0.69}}

A request never waits for the record: rows that do not fit into the queue are dropped and counted.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import hashlib
import logging
import math
import os
import pathlib
import queue
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO

import numpy as np
import orjson

from serving.codec.signature import Feature
from serving.codec.tensors import Arrays
from serving.metrics import Metrics
from serving.models.answers import Part
from serving.models.servable import Servable

MOST_ROWS = 16
"""How many rows of one request are recorded: a batch of thousands must not displace other requests."""
_MOST_ROW_BYTES = 64 * 1024
_QUEUE = 256
_FLUSH_SECONDS = 0.5
_EXPIRE_SECONDS = 30.0
_SEGMENTS = 8
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RecordOptions:
    """How much is recorded.

    Attributes:
        rate: share of the requests to record, chosen by `is_sampled`.
        max_bytes: total size of a model's segments; the oldest are deleted first.
        max_seconds: older segments are deleted.
        exclude: columns that are never written, in addition to those that the schema marks as personal.
    """

    folder: pathlib.Path
    rate: float = 0.1
    max_bytes: int = 64 << 20
    max_seconds: float = 7 * 86400.0
    exclude: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class _Rows:
    at: datetime.datetime
    request_id: str
    servable: Servable
    label: str
    inputs: Arrays
    outputs: Arrays


class RequestRecord:
    """Writes a sample of requests and answers, in a separate thread."""

    def __init__(self, options: RecordOptions, metrics: Metrics) -> None:
        self._options = options
        self._rows = metrics.recorded
        self._queue: queue.Queue[_Rows] = queue.Queue(_QUEUE)
        self._segments: dict[str, _Segment] = {}
        self._stop = threading.Event()
        self._failing = ""
        self._expired_at = -_EXPIRE_SECONDS
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    def offer(self, request_id: str, servable: Servable, label: str, part: Part) -> None:
        """Adds a request to the sample, if it belongs there; returns at once."""
        if not servable.features or not is_sampled(request_id, self._options.rate):
            return
        at = datetime.datetime.now(datetime.UTC)
        try:
            self._queue.put_nowait(_Rows(at, request_id, servable, label, part.inputs, part.outputs))
        except queue.Full:
            self._rows.labels(servable.model, "dropped").inc()

    def close(self) -> None:
        """Writes what is queued and ends."""
        self._stop.set()
        self._thread.join(5)
        for segment in self._segments.values():
            segment.file.close()

    def _run(self) -> None:
        while not (self._stop.is_set() and self._queue.empty()):
            try:
                self._write(self._queue.get(timeout=_FLUSH_SECONDS))
                self._failing = ""
            except queue.Empty:
                if time.monotonic() - self._expired_at > _EXPIRE_SECONDS:
                    self._expire()
            except Exception as error:
                # A full disk must not stop the server; report it once, not for every request.
                if self._failing != (problem := f"{type(error).__name__}: {error}"):
                    _log.warning("requests are not recorded: %s", problem)
                self._failing = problem

    def _write(self, rows: _Rows) -> None:
        model = rows.servable.model
        lines = [line + b"\n" for line in describe(rows, self._options.exclude)]
        fitting = [line for line in lines if len(line) <= _MOST_ROW_BYTES]
        self._rows.labels(model, "too large").inc(len(lines) - len(fitting))
        if not fitting:
            return
        segment = self._segment(model)
        try:
            segment.file.write(b"".join(fitting))
        except OSError:
            self._rows.labels(model, "failed").inc(len(fitting))
            raise
        self._rows.labels(model, "written").inc(len(fitting))

    def _segment(self, model: str) -> _Segment:
        segment = self._segments.get(model)
        if segment is not None and (self._is_full(segment) or not segment.path.exists()):
            segment.file.close()
            segment = None
        if segment is None:
            segment = self._segments[model] = _open_segment(self._options.folder / model)
            self._expire()
        return segment

    def _is_full(self, segment: _Segment) -> bool:
        # Whole segments are deleted, so they must be small compared with the limits.
        return (
            segment.file.tell() > self._options.max_bytes / _SEGMENTS
            or time.time() - segment.began > self._options.max_seconds / _SEGMENTS
        )

    def _expire(self) -> None:
        """Deletes the oldest segments of every model, including those of dead servers, until the limits are met."""
        self._expired_at = time.monotonic()
        for folder in self._options.folder.iterdir() if self._options.folder.is_dir() else ():
            room = self._options.max_bytes
            for path in sorted(folder.glob("*.jsonl"), reverse=True):
                with contextlib.suppress(FileNotFoundError):  # another server expires them too
                    stat = path.stat()
                    room -= stat.st_size
                    if room < 0 or time.time() - stat.st_mtime > self._options.max_seconds:
                        path.unlink()


def is_sampled(request_id: str, rate: float) -> bool:
    """Whether a request belongs to a sample of this share.

    By a hash of its id and not at random: whoever gives the ids can tell which predictions are kept, and so which labels are worth
    having; every server of a model keeps the same requests.
    """
    digest = hashlib.blake2b(request_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < rate * 2**64


@dataclasses.dataclass(frozen=True)
class _Segment:
    path: pathlib.Path
    file: BinaryIO
    began: float


def _open_segment(folder: pathlib.Path) -> _Segment:
    """A new file that only this user may read; unbuffered, so that nothing is lost."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}.jsonl"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    return _Segment(path, os.fdopen(handle, "wb", buffering=0), time.time())


def describe(rows: _Rows, exclude: Collection[str] = ()) -> list[bytes]:
    """The lines for a request, without newlines."""
    features = {
        name: feature
        for name, feature in rows.servable.features.items()
        if not feature.personal and name not in exclude and (feature.input or name) in rows.inputs
    }
    arrays = [*rows.outputs.values(), *(rows.inputs[feature.input or name] for name, feature in features.items())]
    count = min([MOST_ROWS, *(array.shape[0] for array in arrays if array.ndim)])
    head = {
        "at": rows.at.isoformat(timespec="milliseconds"),
        "request_id": rows.request_id,
        "model": rows.servable.model,
        "version": rows.servable.version,
        "label": rows.label,
    }
    return [
        orjson.dumps(
            head
            | {"row": row}
            | {"columns": {name: _column(rows.inputs, name, feature, row) for name, feature in features.items()}}
            | {"prediction": {name: _plain(array[row]) for name, array in rows.outputs.items() if array.ndim}}
        )
        for row in range(count)
    ]


def _column(inputs: Mapping[str, np.ndarray[Any, Any]], name: str, feature: Feature, row: int) -> Any:
    value = _plain(inputs[feature.input or name][row])
    return None if feature.nullable and value in ("", -(2**63)) else value


def _plain(value: Any) -> Any:
    """A value for JSON: NaN, which means missing, becomes null; bytes that are not text become base64."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, np.floating):
        return float(str(value)) if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value
