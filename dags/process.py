"""Runs a command in its own process group and passes its messages on line by line. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    returncode: int
    stdout: str
    last_lines: tuple[str, ...]
    """The end of its stderr."""


class StreamedProcess:
    """A command whose stderr is streamed and whose stdout is collected.

    `stop()` ends its whole process group; the command itself also ends when this process is killed.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._process = subprocess.Popen(
            list(argv),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
            preexec_fn=_die_with_parent,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, keep_lines: int = 20) -> Finished:
        """Streams until the command ends."""
        stdout: list[str] = []
        reader = threading.Thread(target=lambda: stdout.append(self._process.stdout.read()), daemon=True)  # type: ignore[union-attr]
        reader.start()
        last: list[str] = []
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if text := line.rstrip():
                self._on_line(text)
                last = [*last, text][-keep_lines:]
        returncode = self._process.wait()
        reader.join(timeout=10)
        return Finished(returncode, "".join(stdout), tuple(last))

    def stop(self, grace_seconds: float = 15.0) -> None:
        """Ends the whole group: SIGTERM first, and SIGKILL for what is left after the grace period."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace_seconds)
        self._signal(signal.SIGKILL)

    def _signal(self, signum: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signum)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
