"""What of the machine is ours, within a container's limits."""

from __future__ import annotations

import contextlib
import os
import pathlib

_CGROUP = pathlib.Path("/sys/fs/cgroup")


def usable_machine(cgroup: pathlib.Path = _CGROUP) -> tuple[int, int]:
    """Cores and bytes of memory that this process may use, within its container's limits.

    Args:
        cgroup: of the container, as cgroup v2 shows it inside.
    """
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no such cgroup, or "max"
        memory = min(memory, int((cgroup / "memory.max").read_text()))
    with contextlib.suppress(OSError, ValueError):
        # Kubernetes limits a pod's CPU time, but the pod still sees all cores of the node.
        quota, period = (cgroup / "cpu.max").read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    return cores, memory
