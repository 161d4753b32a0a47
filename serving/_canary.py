"""The canary's lane: its share of the requests runs apart from the others, so that its trouble stays its own.

A canary that hangs takes the lane's few threads and no other; one that fails costs a second answer, by the stable
version. Callers never see it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import TypeVar

import numpy as np

from serving._codec import Arrays
from serving._errors import ServingError

_Answer = TypeVar("_Answer")
_WAIT_SECONDS = 0.1
"""How long a request waits for a place in the lane: long against a healthy answer, short against a caller's patience."""


class LaneFullError(Exception):
    """All of the lane's threads are at work; the stable version answers."""


class NotFiniteError(ServingError):
    """The canary answered with NaN or infinity."""


class CanaryTimeoutError(ServingError):
    """The canary did not answer in time."""

    http_status = 504
    grpc_status = "DEADLINE_EXCEEDED"


class CanaryLane:
    """Runs requests of the canary.

    Args:
        threads: how many at once.
        seconds: what one may take.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="canary")
        self._free = threading.Semaphore(threads)
        self._seconds = seconds

    def run(self, work: Callable[[], _Answer]) -> _Answer:
        """Runs one request.

        Raises:
            LaneFullError: no thread became free; the work was not begun.
            CanaryTimeoutError: no answer in time; the thread is free again once it has one.
        """
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            raise LaneFullError
        future: Future[_Answer] = self._pool.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        try:
            return future.result(self._seconds)
        except NotInTime:
            if future.done():  # the work itself ran into a timeout of its own
                raise
            raise CanaryTimeoutError(f"no answer within {self._seconds:g} s (--canary-seconds)") from None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def chosen(share: float) -> bool:
    """Whether the canary answers a request: by chance.

    Not by the request's content: then one that is asked over and over would be all the canary's or none of it, and the
    predictions of canary and stable would differ because their requests do.
    """
    return random.random() < share  # noqa: S311 - a sample, not a secret


def insist_finite(outputs: Arrays) -> None:
    """Raises NotFiniteError if an answer holds NaN or infinity."""
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NotFiniteError(f"output {name!r} holds NaN or infinity")
