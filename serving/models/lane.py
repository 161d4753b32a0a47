"""A version's own threads, and the requests that wait for them: alike ones run as one batch.

No version waits for another's requests, whatever those do.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from serving.codec.tensors import Arrays
from serving.errors import BusyError

Run = Callable[[Arrays], Arrays]


@dataclasses.dataclass(frozen=True)
class LaneOptions:
    """How requests wait and are put together.

    Attributes:
        threads: how many batches run at once (TF Serving: `num_batch_threads`).
        max_batch_size: rows of a batch; 1: each request runs alone. A request with more rows does too.
        batch_timeout_micros: how long the first of a batch waits for others, in microseconds. 0: a batch is what waits when a thread
            is free, so that who asks alone never waits.
        max_in_flight: requests that run or wait; more are refused.
        seconds: how long a request may wait for a thread.
    """

    threads: int = 2
    max_batch_size: int = 32
    batch_timeout_micros: int = 0
    max_in_flight: int = 1024
    seconds: float = 30.0


class TooLongInLineError(BusyError):
    """No thread became free in time; the request was not started."""


class _Waiting:
    """A request in line."""

    __slots__ = ("arrays", "future", "gone", "key", "rows", "run", "since", "timer")

    def __init__(self, run: Run, arrays: Arrays, key: Hashable, rows: int, future: asyncio.Future[Arrays]) -> None:
        self.run, self.arrays, self.key, self.rows, self.future = run, arrays, key, rows, future
        self.since = time.monotonic()
        self.gone = False
        self.timer: asyncio.TimerHandle | None = None


class Lane:
    """Runs requests of one model version on threads of its own."""

    def __init__(self, name: str, options: LaneOptions) -> None:
        self.options = options
        self._name = name
        self._line: collections.deque[_Waiting] = collections.deque()
        self._condition = threading.Condition()
        self._places = 0
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def idle(self) -> bool:
        return self._places == 0

    async def run(self, run: Run, arrays: Arrays, kind: Hashable, seconds: float | None = None) -> Arrays:
        """Runs a function of tensors [N, ...] on a thread, with the rows of other requests of its kind, types and shapes.

        Args:
            run: called with the tensors of several requests, one after another along the first axis.
            kind: requests of one kind have the same `run`; None: one that runs alone, since its tensors have no rows.
            seconds: how long the request may wait for a thread. Default: as the options say.

        Raises:
            BusyError: too many wait.
            TooLongInLineError: it waited too long, and was not started.
        """
        if self._places >= self.options.max_in_flight:
            raise BusyError(
                f"{self.options.max_in_flight} requests to {self._name} are under way, which is the limit (--max-in-flight); try again"
            )
        self._places += 1
        try:
            return await self._wait(run, arrays, kind, self.options.seconds if seconds is None else seconds)
        finally:
            self._places -= 1

    async def _wait(self, run: Run, arrays: Arrays, kind: Hashable, seconds: float) -> Arrays:
        loop = asyncio.get_running_loop()
        rows = 0 if kind is None else _rows(arrays)
        key = (kind, *[(name, one.dtype.str, one.shape[1:]) for name, one in arrays.items()]) if rows else None
        waiting = _Waiting(run, arrays, key, rows, loop.create_future())
        waiting.timer = loop.call_later(seconds, self._expire, waiting, seconds)
        with self._condition:
            self._line.append(waiting)
            if len(self._threads) < self.options.threads:
                self._begin()
            self._condition.notify()
        try:
            return await waiting.future
        finally:
            waiting.timer.cancel()
            waiting.gone = True  # its caller may have left

    def close(self) -> None:
        """Ends the threads once the line is empty."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _begin(self) -> None:
        thread = threading.Thread(target=self._work, args=(asyncio.get_running_loop(),), name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _expire(self, waiting: _Waiting, seconds: float) -> None:
        with self._condition:
            if waiting not in self._line:
                return  # it runs
            self._line.remove(waiting)
        if not waiting.future.done():
            waiting.future.set_exception(
                TooLongInLineError(
                    f"{self._name} was busy with other requests for {seconds:g} s (--queue-seconds); try again"
                )
            )

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while batch := self._next():
            answers = _answers(batch)
            try:
                loop.call_soon_threadsafe(_deliver, batch, answers)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
            del batch, answers  # not kept while this thread waits

    def _next(self) -> list[_Waiting]:
        with self._condition:
            while True:
                while self._line and self._line[0].gone:
                    self._line.popleft()
                if not self._line:
                    if self._closed:
                        return []
                    self._condition.wait()
                    continue
                first = self._line[0]
                left = first.since + self.options.batch_timeout_micros / 1e6 - time.monotonic()
                if left <= 0 or first.key is None or self._alike(first.key) >= self.options.max_batch_size:
                    return self._taken()
                self._condition.wait(left)

    def _alike(self, key: Hashable) -> int:
        return sum(one.rows for one in self._line if one.key == key)

    def _taken(self) -> list[_Waiting]:
        first = self._line.popleft()
        batch, rows = [first], first.rows
        if first.key is not None:
            left = collections.deque[_Waiting]()
            for one in self._line:
                if one.gone:
                    continue
                if one.key == first.key and rows + one.rows <= self.options.max_batch_size:
                    batch.append(one)
                    rows += one.rows
                else:
                    left.append(one)
            self._line = left
        return batch


def _rows(arrays: Arrays) -> int:
    """How many rows tensors have; 0 where it is not the same number for all."""
    sizes = {one.shape[0] if one.ndim else 0 for one in arrays.values()}
    return sizes.pop() if len(sizes) == 1 else 0


def _answers(batch: Sequence[_Waiting]) -> list[Arrays | BaseException]:
    """What each request of a batch is answered: its part of the batch's answer, or its own where the batch has none."""
    if len(batch) == 1:
        return [_alone(batch[0])]
    together = {name: np.concatenate([one.arrays[name] for one in batch]) for name in batch[0].arrays}
    ends = np.cumsum([one.rows for one in batch]).tolist()
    try:
        outputs = batch[0].run(together)
    except Exception:  # whose fault it is shows when each runs alone
        return [_alone(one) for one in batch]
    if any(not output.ndim or output.shape[0] != ends[-1] for output in outputs.values()):
        return [_alone(one) for one in batch]
    starts = [0, *ends[:-1]]
    return [
        {name: output[start:end] for name, output in outputs.items()} for start, end in zip(starts, ends, strict=True)
    ]


def _alone(one: _Waiting) -> Arrays | BaseException:
    try:
        return one.run(one.arrays)
    except Exception as error:
        return error


def _deliver(batch: Sequence[_Waiting], answers: Sequence[Arrays | BaseException]) -> None:
    for one, answer in zip(batch, answers, strict=True):
        if one.future.done():
            continue
        if isinstance(answer, BaseException):
            one.future.set_exception(answer)
        else:
            one.future.set_result(answer)
