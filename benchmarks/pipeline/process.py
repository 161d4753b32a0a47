"""Runs one side in a separate process and measures its cost: seconds, and the memory of it and all its children."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence

import psutil

from benchmarks.pipeline.memory_limit import MemoryLimit

_PERIOD = 0.25  # seconds between samples of the memory
_GROWTH = 1.01
_MIB = 1024**2
_LOG_TAIL = 600


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a process and its children cost.

    Attributes:
        seconds: wall-clock time from start to exit.
        cpu_seconds: user and system time of the process and the children it waited for.
        peak_mb: peak memory of the whole tree, MiB: the sum of proportional set sizes, sampled every quarter of a second, to within
            one percent, and at least `largest_mb`.
        largest_mb: the largest resident set of a single process, MiB, as recorded by the kernel up to the last sample. wait4's
            figure is not used because it includes the memory of the process that forked.
        failure: why it failed; None if it succeeded.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    largest_mb: float
    failure: str | None


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: pathlib.Path,
    stdout: pathlib.Path,
    limit: MemoryLimit,
) -> Cost:
    """Runs a command and waits for it; stderr goes to `folder`/log.txt. Leaves no process behind.

    Args:
        environment: the complete environment, not additions to ours.
        limit: of memory; the command is ended when it exceeds it.
    """
    log = folder / "log.txt"
    started = time.monotonic()
    with log.open("a") as errors, stdout.open("a") as out:
        # In a new session, by which anything that the command leaves behind is found and ended.
        process = subprocess.Popen(
            limit.wrapped(command), env=environment, stdout=out, stderr=errors, cwd=folder, start_new_session=True
        )
        watch = _Watch(process.pid, limit.watched_mb)
        try:
            watch.start()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            watch.kill()
            raise
        finally:
            watch.stop()
    seconds = time.monotonic() - started
    watch.kill()
    process.returncode = os.waitstatus_to_exitcode(status)
    failure = limit.failure(watch.over_limit)
    if failure is None and process.returncode:
        how = f"with {process.returncode}" if process.returncode > 0 else f"by signal {-process.returncode}"
        failure = f"ended {how}: {' '.join(log.read_text(errors='replace')[-_LOG_TAIL:].split())}"
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(seconds, cpu, max(watch.peak_mb, watch.largest_mb), watch.largest_mb, failure)


class _Watch(threading.Thread):
    """Watches the memory of a process and its children.

    Reading a proportional set size walks the page tables, which slows down what is measured. So it is read only when the cheaper
    sum of the resident sets has grown by one percent.
    """

    def __init__(self, leader: int, most_mb: float | None) -> None:
        super().__init__(name="memory", daemon=True)
        self.peak_mb = self.largest_mb = 0.0
        self.over_limit = False
        self._leader, self._most_mb = leader, most_mb
        self._looked_at = 0.0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(_PERIOD):
            processes = _tree(self._leader)
            self.largest_mb = max([self.largest_mb, *map(_highest_mb, processes)])
            resident = sum(map(_resident_mb, processes))
            if resident <= self._looked_at * _GROWTH:
                continue
            self._looked_at = resident
            self.peak_mb = max(self.peak_mb, sum(map(_proportional_mb, processes)))
            if self._most_mb is not None and self.peak_mb > self._most_mb:
                self.over_limit = True
                self.kill()
                return

    def stop(self) -> None:
        self._done.set()
        if self.is_alive():
            self.join()

    def kill(self) -> None:
        for process in _tree(self._leader):
            with contextlib.suppress(psutil.Error):
                process.kill()


def _tree(leader: int) -> set[psutil.Process]:
    """A session's processes and all their children: a child may have started a new session."""
    members: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if process not in members and os.getsid(process.pid) == leader:
                members |= {process, *process.children(recursive=True)}
    return members


def _resident_mb(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss) / _MIB
    return 0.0


def _highest_mb(process: psutil.Process) -> float:
    with contextlib.suppress(OSError):  # psutil does not tell it on Linux
        for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _proportional_mb(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss) / _MIB
    return _resident_mb(process)
