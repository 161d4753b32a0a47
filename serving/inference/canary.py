"""What a canary's answer must be. Its requests run on threads of its own, so that its problems affect nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import numpy as np

from serving.codec.tensors import Arrays
from serving.errors import ServingError

_Answer = TypeVar("_Answer")


class NotFiniteError(ServingError):
    """The canary answered with NaN or infinity."""


class CanaryTimeoutError(ServingError):
    """The canary did not answer in time."""

    http_status = 504
    grpc_status = "DEADLINE_EXCEEDED"


async def in_time(answer: Awaitable[_Answer], seconds: float) -> _Answer:
    """Waits for the canary's answer.

    Raises:
        CanaryTimeoutError: no answer in time; the thread becomes free when it has finished.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            return await answer
    except TimeoutError:
        if not limit.expired():  # the work raised it itself
            raise
        raise CanaryTimeoutError(f"no answer within {seconds:g} s (--canary-seconds)") from None


def insist_finite(outputs: Arrays) -> None:
    """Raises NotFiniteError if an answer contains NaN or infinity."""
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NotFiniteError(f"output {name!r} holds NaN or infinity")
