"""Watches a remote run until it ends, in the triggerer as in a worker.

A watch is told what was seen and returns the event that ends it, or None. An event has a `kind`:

- "ended": the run has ended; `run` is its summary.
- "overdue": it took longer than allowed.
- "away": KFP did not answer for too long; the run continues.
- "refused": KFP refuses our requests, for instance because a token has expired; the run continues.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable

from airflow_kubeflow import runs
from airflow_kubeflow.api import Json

_REFUSALS = 2  # a token that is being renewed is refused once
_LONGEST_PAUSE = 120.0


class Watch:
    """Watches one run.

    Args:
        say: receives lines for the task's log.
        poll_interval: seconds between polls.
        deadline: when the run must have ended.
        patience: seconds for which KFP may fail to answer.
    """

    def __init__(
        self, say: Callable[[str], None], poll_interval: float, deadline: datetime.datetime | None, patience: float
    ) -> None:
        self._say = say
        self._poll_interval = poll_interval
        self._deadline = deadline
        self._patience = patience
        self._answered = time.monotonic()
        self._misses = 0
        self._refusals = 0
        self._states: dict[str, str] = {}
        self._state = ""

    @property
    def pause(self) -> float:
        """Seconds until the next poll: longer and longer while KFP does not answer, but not beyond the deadline."""
        pause = min(self._poll_interval * 2.0**self._misses, max(_LONGEST_PAUSE, self._poll_interval))
        if self._deadline is None or self.overdue:
            return pause
        left = (self._deadline - datetime.datetime.now(datetime.UTC)).total_seconds()
        return max(min(pause, left), 0.05)

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline is not None and datetime.datetime.now(datetime.UTC) >= self._deadline

    def terminated(self, run_id: str) -> Json:
        """The run missed its deadline, and KFP was told to terminate it."""
        assert self._deadline is not None
        return {"kind": "overdue", "run_id": run_id, "deadline": self._deadline.isoformat(timespec="seconds")}

    def seen(self, run: Json, link: str) -> Json | None:
        """KFP has answered."""
        if self._misses:
            self._say("Kubeflow answers again.")
        self._answered, self._misses, self._refusals = time.monotonic(), 0, 0
        every = runs.tasks(run)
        for line in runs.progress(self._states, every):
            self._say(line)
        self._states = {task.name: task.state for task in every}
        if (now := runs.state(run)) != self._state:
            self._say(f"Run {run.get('run_id')} is {now}.")
            self._state = now
        return {"kind": "ended", "run": runs.summary(run, link)} if runs.ended(run) else None

    def missed(self, problem: Exception) -> Json | None:
        """KFP does not answer."""
        if not self._misses:
            self._say(f"{problem} Asked again; the run goes on without it.")
        self._misses = min(self._misses + 1, 16)
        away = time.monotonic() - self._answered
        return {"kind": "away", "error": str(problem)} if away >= self._patience else None

    def refused(self, problem: Exception) -> Json | None:
        """KFP refuses the request."""
        self._refusals += 1
        return {"kind": "refused", "error": str(problem)} if self._refusals >= _REFUSALS else None
