"""Running a child process within limits of time and memory, and saying how it ended."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

_POLL_SECONDS = 0.05
_MIB = 2**20
_TAIL_BYTES = 8192


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a child process ended.

    Attributes:
        code: exit status; negative: the signal that ended it.
        over: the limit that it went over, `time` or `memory`; empty if none.
        seconds: that it ran.
        peak_mb: the most resident memory seen, its own children included, in MiB.
        last_line: of what it wrote; an exception's message, as a rule.
    """

    code: int
    over: str
    seconds: float
    peak_mb: int
    last_line: str


def run_limited(
    command: Sequence[str], environment: Mapping[str, str], log: pathlib.Path, seconds: float, memory_mb: int
) -> Ended:
    """Runs a command in a session of its own; over a limit, all of the session's processes are killed.

    Resident memory is watched rather than limited by the kernel: RLIMIT_AS counts address space, of which TensorFlow
    reserves many times what it uses.

    Args:
        command: and its arguments.
        environment: of the child.
        log: file for its output and errors.
        seconds: wall-clock limit.
        memory_mb: limit of resident memory, in MiB.
    """
    started = time.monotonic()
    over, peak = "", 0
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            while not over:
                try:
                    child.wait(_POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    peak = max(peak, resident_bytes(child.pid))
                if peak > memory_mb * _MIB:
                    over = "memory"
                elif time.monotonic() - started > seconds:
                    over = "time"
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return Ended(child.returncode, over, time.monotonic() - started, peak // _MIB, _last_line(log))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; 0 for one that is gone."""
    try:
        resident = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return resident + sum(resident_bytes(int(child)) for child in children)


def _last_line(log: pathlib.Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:400] if lines else ""
