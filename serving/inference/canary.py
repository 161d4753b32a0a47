"""The canary's lane: its share of the requests runs separately, so that its problems affect nothing else.

A canary that hangs blocks only the lane's few threads; if it fails, the stable version answers as well. Callers notice neither.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import TypeVar

import numpy as np

from serving.codec.tensors import Arrays
from serving.errors import ServingError

_Answer = TypeVar("_Answer")
_WAIT_SECONDS = 0.1
"""How long a request waits for a free thread: long for a healthy answer, short for a waiting caller."""


class LaneFullError(Exception):
    """All of the lane's threads are busy; the stable version answers."""


class NotFiniteError(ServingError):
    """The canary answered with NaN or infinity."""


class CanaryTimeoutError(ServingError):
    """The canary did not answer in time."""

    http_status = 504
    grpc_status = "DEADLINE_EXCEEDED"


class CanaryLane:
    """Runs requests of the canary.

    Args:
        threads: how many run at once.
        seconds: how long a request may take.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="canary")
        self._free = threading.Semaphore(threads)
        self._seconds = seconds

    def run(self, work: Callable[[], _Answer]) -> _Answer:
        """Runs one request.

        Raises:
            LaneFullError: no thread became free; the work was not started.
            CanaryTimeoutError: no answer in time; the thread becomes free when it has finished.
        """
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            raise LaneFullError
        future: Future[_Answer] = self._pool.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        try:
            return future.result(self._seconds)
        except NotInTime:
            if future.done():  # the work raised a TimeoutError itself
                raise
            raise CanaryTimeoutError(f"no answer within {self._seconds:g} s (--canary-seconds)") from None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def insist_finite(outputs: Arrays) -> None:
    """Raises NotFiniteError if an answer contains NaN or infinity."""
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NotFiniteError(f"output {name!r} holds NaN or infinity")
