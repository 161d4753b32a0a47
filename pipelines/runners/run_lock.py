"""One run of a workload at a time."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator

import storage


@contextlib.contextmanager
def exclusive(path: pathlib.Path, owner: str, wait_s: float, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock file while the body runs. The kernel releases it however the process ends.

    Args:
        owner: written into the file, for those who wait.
        wait_s: seconds to wait for another holder.
        say: is told once that we are waiting.

    Raises:
        storage.Busy: the other holder did not end in time.
    """
    with contextlib.ExitStack() as held:
        try:
            file = held.enter_context(storage.exclusive(path, 0))
        except storage.Busy:
            say(f"{_holder(path)} is under way; waiting up to {wait_s:.0f} s for it to end")
            try:
                file = held.enter_context(storage.exclusive(path, wait_s))
            except storage.Busy:
                raise storage.Busy(
                    f"{_holder(path)} is still under way after {wait_s:.0f} s. Try again later, or raise --wait."
                ) from None
        file.truncate(0)
        file.write(f"{owner} (pid {os.getpid()})")
        file.flush()
        yield


def _holder(path: pathlib.Path) -> str:
    return path.read_text().strip() or "another process"
