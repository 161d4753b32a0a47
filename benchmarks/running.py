"""What the benchmarks share: the environment of the processes they start, progress on stderr, and a stopwatch."""

from __future__ import annotations

import os
import sys
import time

from spec import home


def environment() -> dict[str, str]:
    """Ours, in which Python finds this checkout's packages and TensorFlow logs errors only."""
    path = os.pathsep.join(filter(None, (str(home.ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"}


def say(message: str) -> None:
    """Reports progress: stdout is for results."""
    print(message, file=sys.stderr, flush=True)


class Stopwatch:
    """Seconds per stage, one stage after another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()

    def lap(self, stage: str) -> None:
        """Ends a stage, or adds to it, and starts the next one."""
        now = time.monotonic()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self._started, 3)
        self._started = now
