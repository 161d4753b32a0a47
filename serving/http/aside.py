"""What would hold up the event loop runs on a thread; small work is quicker where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Found = TypeVar("_Found")
_SMALL_BYTES = 32 * 1024


class Aside:
    """Runs what has much to read or to write on threads.

    Args:
        threads: how many such at once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="aside")

    async def run(self, size: int, work: Callable[[], _Found]) -> _Found:
        """What `work` returns.

        Args:
            size: of what it reads or writes, in bytes.
        """
        if size <= _SMALL_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
