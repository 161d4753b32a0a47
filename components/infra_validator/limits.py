"""Keeping a worker within limits of time and memory, and saying how it ended."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time

from components.prepared import Worker

_POLL_SECONDS = 0.05
_MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a worker ended.

    Attributes:
        code: exit status; negative: the signal that ended it.
        over: the limit that it went over, `time` or `memory`; empty if none.
        seconds: that it worked.
        peak_mb: the most resident memory seen, its own children included, in MiB.
        last_line: of what it wrote; an exception's message, as a rule.
    """

    code: int
    over: str
    seconds: float
    peak_mb: int
    last_line: str


def watch(worker: Worker, seconds: float, memory_mb: int) -> Ended:
    """Waits for the end of a worker that was sent its request, and closes it; over a limit, it is killed.

    Resident memory is watched rather than limited by the kernel: RLIMIT_AS counts address space, of which TensorFlow
    reserves many times what it uses.

    Args:
        seconds: wall-clock limit from now on.
        memory_mb: limit of resident memory, in MiB.
    """
    started = time.monotonic()
    over, peak = "", 0
    while not over and worker.alive:
        peak = max(peak, resident_bytes(worker.process.pid))
        if peak > memory_mb * _MIB:
            over = "memory"
        elif time.monotonic() - started > seconds:
            over = "time"
        else:
            time.sleep(_POLL_SECONDS)
    worker.end()
    return Ended(worker.process.returncode, over, time.monotonic() - started, peak // _MIB, worker.last_line())


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; 0 for one that is gone."""
    try:
        resident = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return resident + sum(resident_bytes(int(child)) for child in children)
