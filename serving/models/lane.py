"""A version's own threads, and the requests that wait for them: alike ones run as one batch.

No version waits for another's requests, whatever those do.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from serving.errors import BadRequestError, BusyError

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")
Together = Callable[[Sequence[_Item]], Sequence[_Answer]]
"""Answers the items of several requests, one each; raises where one of them cannot be answered."""


_LOOK_SECONDS = 0.05


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
        max_rows: rows of a request.
        batches_foreign: whether requests are put together for a SavedModel that is not Trainyard's: whether the first axis of such a
            one is the batch is not known, unless somebody says so.
    """

    threads: int = 2
    max_batch_size: int = 32
    batch_timeout_micros: int = 0
    max_in_flight: int = 1024
    seconds: float = 30.0
    max_rows: int = 16_384
    batches_foreign: bool = False


class TooLongInLineError(BusyError):
    """No thread became free in time; the request was not started."""


class _Waiting:
    """A request in line."""

    __slots__ = ("future", "gone", "item", "kind", "rows", "seconds", "since", "together")

    def __init__(
        self,
        together: Together[Any, Any],
        item: Any,
        kind: Hashable,
        rows: int,
        future: asyncio.Future[Any],
        seconds: float,
    ) -> None:
        self.together, self.item, self.kind, self.rows, self.future = together, item, kind, rows, future
        self.since, self.seconds = time.monotonic(), seconds
        self.gone = False


class Lane:
    """Runs requests of one model version on threads of its own."""

    def __init__(self, name: str, options: LaneOptions) -> None:
        self.options = options
        self._name = name
        self._line: collections.deque[_Waiting] = collections.deque()
        self._condition = threading.Condition()
        self._places = 0
        self._threads: list[threading.Thread] = []
        self._closed = self._looked_after = False

    @property
    def idle(self) -> bool:
        return self._places == 0

    async def run(
        self,
        together: Together[_Item, _Answer],
        item: _Item,
        kind: Hashable,
        rows: int,
        seconds: float | None = None,
    ) -> _Answer:
        """Answers a request on a thread, with others of its kind.

        Args:
            together: called with the items of several requests; if it raises, again with each of them alone.
            kind: requests of one kind have the same `together`; None: this one is answered alone.
            rows: how many the item has.
            seconds: how long the request may wait for a thread. Default: as the options say.

        Raises:
            BadRequestError: it has too many rows.
            BusyError: too many wait.
            TooLongInLineError: it waited too long, and was not started.
        """
        self.insist_on_rows(rows)
        if self._places >= self.options.max_in_flight:
            raise BusyError(
                f"{self.options.max_in_flight} requests to {self._name} are under way, which is the limit (--max-in-flight); try again"
            )
        self._places += 1
        loop = asyncio.get_running_loop()
        seconds = self.options.seconds if seconds is None else seconds
        waiting = _Waiting(together, item, kind, rows, loop.create_future(), seconds)
        if not self._looked_after:
            self._looked_after = True
            loop.call_later(_LOOK_SECONDS, self._look_after, loop)
        try:
            with self._condition:
                self._line.append(waiting)
                if len(self._threads) < self.options.threads:
                    self._begin(loop)
                self._condition.notify()
            answer: _Answer = await waiting.future
            return answer
        finally:
            waiting.gone = True  # its caller may have left
            self._places -= 1

    def insist_on_rows(self, rows: int) -> None:
        """Raises BadRequestError for more rows than a request may have."""
        if rows > self.options.max_rows:
            raise BadRequestError(
                f"a request may have {self.options.max_rows:,} rows (--max-rows). Received: {rows:,}. Send fewer at once."
            )

    def close(self) -> None:
        """Ends the threads once the line is empty."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        thread = threading.Thread(target=self._work, args=(loop,), name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _look_after(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuses what has waited too long, again and again while anything waits."""
        now, late = time.monotonic(), []
        with self._condition:
            for one in [one for one in self._line if now - one.since > one.seconds]:
                self._line.remove(one)
                late.append(one)
        for one in late:
            if not one.future.done():
                one.future.set_exception(
                    TooLongInLineError(
                        f"{self._name} was busy with other requests for {one.seconds:g} s (--queue-seconds); try again"
                    )
                )
        self._looked_after = bool(self._line)
        if self._looked_after:
            loop.call_later(_LOOK_SECONDS, self._look_after, loop)

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
                if left <= 0 or first.kind is None or self._alike(first.kind) >= self.options.max_batch_size:
                    return self._taken()
                self._condition.wait(left)

    def _alike(self, kind: Hashable) -> int:
        return sum(one.rows for one in self._line if one.kind == kind)

    def _taken(self) -> list[_Waiting]:
        first = self._line.popleft()
        batch, rows = [first], first.rows
        if first.kind is not None:
            left = collections.deque[_Waiting]()
            for one in self._line:
                if one.gone:
                    continue
                if one.kind == first.kind and rows + one.rows <= self.options.max_batch_size:
                    batch.append(one)
                    rows += one.rows
                else:
                    left.append(one)
            self._line = left
        return batch


def _answers(batch: Sequence[_Waiting]) -> Sequence[Any]:
    """What each request of a batch is answered, or the error that it gets."""
    if len(batch) > 1:
        # Whose fault an error is shows when each is answered alone.
        with contextlib.suppress(Exception):
            return batch[0].together([one.item for one in batch])
    return [_alone(one) for one in batch]


def _alone(one: _Waiting) -> Any:
    try:
        return one.together([one.item])[0]
    except Exception as error:
        return error


def _deliver(batch: Sequence[_Waiting], answers: Sequence[Any]) -> None:
    for one, answer in zip(batch, answers, strict=True):
        if one.future.done():
            continue
        if isinstance(answer, Exception):
            one.future.set_exception(answer)
        else:
            one.future.set_result(answer)
