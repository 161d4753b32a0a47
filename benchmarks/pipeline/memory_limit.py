"""A limit on the memory of a process and its children.

A memory cgroup enforces it properly: the kernel reclaims page cache first and kills what still asks for more. Where this process
may not create one, the processes are polled instead and ended when they exceed the limit, which a quick rise can outrun; the result
says which it was. (RLIMIT_AS does not work: TensorFlow reserves far more address space than it uses.)
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Iterator, Sequence

_ROOT = pathlib.Path("/sys/fs/cgroup")
_MIB = 1024**2


class MemoryLimit:
    """No limit, and the base class of real limits."""

    kind = "none"
    watched_mb: float | None = None

    def wrapped(self, command: Sequence[str]) -> list[str]:
        """The command line that starts the command within the limit."""
        return list(command)

    def failure(self, killed: bool) -> str | None:
        """Why the limit ended the process; None if it did not. `killed`: it was polled and ended."""
        return None


class _Watched(MemoryLimit):
    kind = "watched"

    def __init__(self, megabytes: int) -> None:
        self.watched_mb = megabytes

    def failure(self, killed: bool) -> str | None:
        return f"needed more than {self.watched_mb:,.0f} MiB (watched, then ended)" if killed else None


class _Cgroup(MemoryLimit):
    def __init__(self, folder: pathlib.Path, megabytes: int, version: int) -> None:
        self.kind = f"cgroup v{version}"
        self._folder, self._megabytes = folder, megabytes
        limit, swap = {
            1: ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
            2: ("memory.max", "memory.swap.max"),
        }[version]
        (folder / limit).write_text(str(megabytes * _MIB))
        with contextlib.suppress(OSError):  # the kernel has no swap accounting
            (folder / swap).write_text(str(megabytes * _MIB if version == 1 else 0))
        self._events = folder / ("memory.oom_control" if version == 1 else "memory.events")

    def wrapped(self, command: Sequence[str]) -> list[str]:
        # The shell joins the group, then becomes the command, so nothing is allocated outside.
        return ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self._folder / "cgroup.procs"), *command]

    def failure(self, killed: bool) -> str | None:
        events = dict(line.split() for line in self._events.read_text().splitlines())
        if int(events.get("oom_kill", 0)) == 0:
            return None
        return f"needed more than {self._megabytes:,} MiB ({self.kind}: the kernel ended it)"


@contextlib.contextmanager
def memory_limit(megabytes: int | None) -> Iterator[MemoryLimit]:
    """The strictest limit, in MiB, that this machine allows for one process tree."""
    if megabytes is None:
        yield MemoryLimit()
        return
    folder, version = _parent_group()
    group = folder / f"trainyard-bench-{os.getpid()}-{time.monotonic_ns()}"
    try:
        group.mkdir()
        limit: MemoryLimit = _Cgroup(group, megabytes, version)
    except OSError:  # no permission, no such controller, or not delegated to us
        with contextlib.suppress(OSError):
            group.rmdir()
        yield _Watched(megabytes)
        return
    try:
        yield limit
    finally:
        _remove(group)


def _parent_group() -> tuple[pathlib.Path, int]:
    """The memory cgroup of this process, and the version of cgroups."""
    unified = "/"
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return _ROOT / "memory" / path.lstrip("/"), 1
        if not controllers:
            unified = path
    return _ROOT / unified.lstrip("/"), 2


def _remove(group: pathlib.Path) -> None:
    for _ in range(50):  # processes that were just killed take a moment to leave it
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
