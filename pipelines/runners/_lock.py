"""One run of a workload at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Callable, Iterator

from spec.errors import TryAgainError


class Busy(TryAgainError):
    """Another run of the same workload did not end in time; may be tried again."""


@contextlib.contextmanager
def exclusive(path: pathlib.Path, owner: str, wait_s: float, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock file while the body runs. The kernel releases it however the process ends.

    Args:
        path: of the lock file.
        owner: written into the file, for those who wait.
        wait_s: seconds to wait for another holder.
        say: is told once that we are waiting.

    Raises:
        Busy: the other holder did not end in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        deadline, told = time.monotonic() + wait_s, False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                if not told:
                    say(f"{holder} is under way; waiting up to {wait_s:.0f} s for it to end")
                    told = True
                if time.monotonic() >= deadline:
                    raise Busy(
                        f"{holder} is still under way after {wait_s:.0f} s. Try again later, or raise --wait."
                    ) from None
                time.sleep(0.5)
        file.truncate(0)
        file.write(f"{owner} (pid {os.getpid()})")
        file.flush()
        yield
