"""Reads a slow source in a thread, so that its reader can give up after a time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
_AHEAD = 2
_FAREWELL_S = 2.0


class TookTooLong(Exception):
    """Nothing came in time."""


def within(seconds: float, items: Iterator[T], cancel: Callable[[], None]) -> Iterator[T]:
    """Yields the items; waits at most so many seconds for each.

    Args:
        cancel: stops what `items` waits for; called from another thread, and may do nothing.

    Raises:
        TookTooLong: nothing came in time.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_AHEAD)
    given_up = threading.Event()

    def offer(item: T | None, error: BaseException | None) -> None:
        while not given_up.is_set():
            with contextlib.suppress(queue.Full):
                return ready.put((item, error), timeout=0.2)

    def read() -> None:
        ended: BaseException = StopIteration()
        try:
            for item in items:
                offer(item, None)
                if given_up.is_set():
                    break
        except BaseException as error:
            ended = error
        finally:
            with contextlib.suppress(Exception):
                items.close()  # type: ignore[attr-defined]
        offer(None, ended)

    thread = threading.Thread(target=read, name="read the source", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error = ready.get(timeout=seconds)
            except queue.Empty:
                raise TookTooLong from None
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            assert item is not None
            yield item
    finally:
        given_up.set()
        with contextlib.suppress(Exception):  # each driver has errors of its own
            cancel()
        thread.join(_FAREWELL_S)
