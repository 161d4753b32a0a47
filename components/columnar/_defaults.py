"""Where work runs by default; docs/decisions/0008-beam-defaults.md has the measurements."""

from __future__ import annotations

_GIB = 1 << 30
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
