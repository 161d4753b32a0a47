"""What a lane promises, whatever is asked, given up and late: each request has its own answer, once, and none is lost."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import functools
import threading
from collections.abc import Sequence

from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from serving.errors import BadRequestError, BusyError
from serving.models.lane import Lane, LaneOptions, TooLongInLineError

_MOST_ROWS = 5
_SECONDS = 30  # in which a busy machine has answered as well


@dataclasses.dataclass(eq=False)
class Asked:
    """A request.

    Attributes:
        outcome: good, bad (refused, alone and with others), or alone (fails with others, and is fine alone).
        seconds: how long it may wait.
        busy: whether as many were unanswered before it as may be.
    """

    number: int
    kind: str | None
    rows: int
    outcome: str
    seconds: float | None
    busy: bool
    task: asyncio.Task[int] | None = None


class LaneMachine(RuleBasedStateMachine):
    """A lane whose threads answer when they are let."""

    @initialize(
        threads=st.integers(1, 3),
        batch=st.integers(1, 4),
        in_flight=st.integers(1, 8),
        micros=st.sampled_from([0, 0, 3000]),
    )
    def open(self, threads: int, batch: int, in_flight: int, micros: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.options = LaneOptions(threads, batch, micros, in_flight, _SECONDS, _MOST_ROWS)
        self.lane = Lane("m version 1", self.options)
        self.asked: list[Asked] = []
        self.let = threading.Semaphore(0)
        self.runs: collections.Counter[tuple[int, bool]] = collections.Counter()
        self.wrong: list[str] = []

    def together(self, kind: str | None, items: Sequence[Asked]) -> list[int]:
        """Runs on the lane's threads."""
        self.let.acquire(timeout=_SECONDS)
        if any(one.kind != kind for one in items) or (kind is None and len(items) > 1):
            self.wrong.append(f"together: {items}")
        if len(items) > 1 and sum(one.rows for one in items) > self.options.max_batch_size:
            self.wrong.append(f"too many rows: {items}")
        for one in items:
            self.runs[one.number, len(items) > 1] += 1
        if any(one.outcome == "bad" for one in items):
            raise BadRequestError(f"request {items[0].number} is refused")
        if len(items) > 1 and any(one.outcome == "alone" for one in items):
            raise ValueError("not with others")
        return [one.number for one in items]

    def turn(self, seconds: float = 0.0) -> None:
        """Lets the event loop run, and insists that whatever is answered is answered rightly."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        for one in self.asked:
            if one.task is not None and one.task.done():
                self.insist_on_own_answer(one, one.task)
        assert not self.wrong, self.wrong
        assert not [number for number, times in self.runs.items() if times > 1], "run twice"

    def insist_on_own_answer(self, one: Asked, task: asyncio.Task[int]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, BusyError) and not isinstance(error, TooLongInLineError):
            assert one.busy, "there was a place"
        elif isinstance(error, TooLongInLineError):
            assert one.seconds is not None and not self.runs[one.number, False] and not self.runs[one.number, True]
        elif one.rows > _MOST_ROWS:
            assert isinstance(error, BadRequestError) and "rows" in str(error)
        elif one.outcome == "bad":
            assert isinstance(error, BadRequestError) and str(error) == f"request {one.number} is refused"
        else:
            assert error is None and task.result() == one.number

    @rule(
        kind=st.sampled_from(["a", "a", "b", None]),
        rows=st.integers(1, _MOST_ROWS + 1),
        outcome=st.sampled_from(["good", "good", "good", "bad", "alone"]),
        seconds=st.sampled_from([None, None, 0.0, 0.02]),
    )
    def ask(self, kind: str | None, rows: int, outcome: str, seconds: float | None) -> None:
        unanswered = sum(one.task is not None and not one.task.done() for one in self.asked)
        busy = unanswered >= self.options.max_in_flight
        one = Asked(len(self.asked), kind, rows, outcome, seconds, busy)
        together = functools.partial(self.together, kind)
        one.task = self.loop.create_task(self.lane.run(together, one, kind, rows, seconds))
        self.asked.append(one)
        self.turn()

    @rule(which=st.integers(0, 30))
    def leave(self, which: int) -> None:
        if self.asked and (task := self.asked[which % len(self.asked)].task) is not None:
            task.cancel()
            self.turn()

    @rule(batches=st.integers(1, 4))
    def answer(self, batches: int) -> None:
        self.let.release(batches)
        self.turn(0.002)

    @rule()
    def time_passes(self) -> None:
        self.turn(0.06)

    def teardown(self) -> None:
        if not hasattr(self, "lane"):
            return
        self.let.release(10_000)
        tasks = [one.task for one in self.asked if one.task is not None]
        if tasks:
            _, lost = self.loop.run_until_complete(asyncio.wait(tasks, timeout=_SECONDS))
            assert not lost, f"{len(lost)} requests are never answered"
        self.turn()
        assert self.lane.idle
        self.lane.close()
        for thread in self.lane._threads:
            thread.join(_SECONDS)
            assert not thread.is_alive(), "a thread outlives its lane"
        self.loop.close()


class Scheduling:
    """The search through what may happen to a lane."""

    name = "lane"

    def search(self, number: int, how: settings) -> None:
        """As `Property.search`; a tenth of the examples, since time has to pass in them."""
        fewer = settings(how, max_examples=max(1, how.max_examples // 10), stateful_step_count=20)
        run_state_machine_as_test(seed(number)(LaneMachine), settings=fewer)
