"""How many requests a key may send, counted by all processes of a server together."""

from __future__ import annotations

import os
import pathlib
import struct
import time

_FORM = struct.Struct("d")


class Bucket:
    """Tokens that come at a rate, up to a burst; a request takes one.

    Its whole state is one moment, when the bucket will be full again (the generic cell rate algorithm), in a file of eight bytes. The
    kernel lets one process at a time change it, and frees it when that one dies.

    Args:
        name: of the file.
        shared: the folder that the processes of a server share; None: there is one process.
        rate: tokens a second.
        burst: tokens at most, and at the start.
    """

    def __init__(self, name: str, shared: pathlib.Path | None, rate: float, burst: int) -> None:
        self._seconds = 1 / rate
        self._ahead = (burst - 1) * self._seconds
        if shared is None:
            self._file = os.memfd_create(name)
        else:
            self._file = os.open(shared / name, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self) -> float:
        """Takes a token; returns 0, or the seconds until there is one."""
        os.lockf(self._file, os.F_LOCK, 0)
        try:
            now = time.monotonic()  # the same clock for all processes
            full_at = max(now, *_FORM.unpack(os.pread(self._file, _FORM.size, 0) or bytes(_FORM.size)))
            if (wait := full_at - now - self._ahead) > 0:
                return wait
            os.pwrite(self._file, _FORM.pack(full_at + self._seconds), 0)
            return 0.0
        finally:
            os.lockf(self._file, os.F_ULOCK, 0)

    def close(self) -> None:
        os.close(self._file)
