"""What of the machine is ours, containers' limits included."""

from __future__ import annotations

import contextlib
import math
import os
import pathlib

import psutil

_GROUP = pathlib.Path("/sys/fs/cgroup")
_WORKER_BYTES = 1 << 30  # TensorFlow and a few models


def cores() -> int:
    """The cores that this process may use: of a container, those that it was given time on."""
    given = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = (_GROUP / "cpu.max").read_text().split()
        given = min(given, max(1, math.floor(int(quota) / int(period))))
    return given


def most_workers() -> int:
    """As many workers as there are cores, and memory for."""
    memory = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):
        memory = min(memory, int((_GROUP / "memory.max").read_text()))
    return max(1, min(cores(), memory // _WORKER_BYTES))
