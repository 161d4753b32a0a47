"""Where work runs by default; docs/decisions/0008-beam-defaults.md has the measurements."""

from __future__ import annotations

import contextlib
import os
import pathlib

_GIB = 1 << 30
_CGROUP = pathlib.Path("/sys/fs/cgroup")
# A worker process takes about ten seconds to import what it needs. At 50 MB/s, a slow pass over columns, this is 40 s of work.
_BYTES_PER_WORKER = 2 * _GIB
# TensorFlow and TFX loaded take 0.9 GiB; the rest is for data.
_MEMORY_PER_WORKER = 2 * _GIB


def choose(size_bytes: int, cores: int, memory_bytes: int) -> list[str]:
    """Beam arguments for shards of work that are combined; none: do it in this process.

    Args:
        size_bytes: of all the shards' data, uncompressed.

    Example:
        >>> choose(100 << 20, cores=8, memory_bytes=32 << 30)
        []
        >>> choose(20 << 30, cores=8, memory_bytes=32 << 30)
        ['--direct_running_mode=multi_processing', '--direct_num_workers=8']
    """
    by_memory = memory_bytes // _MEMORY_PER_WORKER - 1  # one share is for this process
    workers = min(size_bytes // _BYTES_PER_WORKER, cores, by_memory)
    if workers < 2:
        return []
    return ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]


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
