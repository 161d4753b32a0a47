"""How many workers this machine has room for."""

from __future__ import annotations

import psutil

from spec.machine import usable_machine

_WORKER_BYTES = 1 << 30  # TensorFlow and a few models


def most_workers() -> int:
    """As many workers as there are cores, and memory for."""
    cores, memory = usable_machine()
    free = min(memory, psutil.virtual_memory().available)
    return max(1, min(cores, free // _WORKER_BYTES))
