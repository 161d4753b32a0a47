"""Processes that are sure to end: each has its own group and a pid file; strays are found by the platform's mark. Needs /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from spec import environment as env

BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
LOG_BYTES = 20_000_000
"""A longer log is renamed to `<name>.log.1`, replacing the previous one, when its process starts."""
STEADY_SECONDS = 60.0
"""After living this long, a process that dies is restarted with the first backoff again."""


@dataclass(frozen=True)
class Identity:
    """Identifies a process: Linux reuses pids, but never a pid with the same start time."""

    pid: int
    start_time: int
    """Clock ticks since boot (field 22 of /proc/<pid>/stat)."""

    @property
    def is_alive(self) -> bool:
        return start_time_of(self.pid) == self.start_time


def start_time_of(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone or a zombie.

    psutil tells it by the wall clock, which another process may see set: pid files outlive that.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def identity_of(pid: int) -> Identity | None:
    started = start_time_of(pid)
    return None if started is None else Identity(pid, started)


@dataclass
class Component:
    """One process of the platform, restarted when it dies."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    pid_file: Path
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = None
    identity: Identity | None = None
    _deaths: int = 0
    _started_at: float = 0.0
    _restart_at: float | None = field(default=None)

    def start(self) -> None:
        """Starts the process in its own session and group."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.argv),
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.identity = identity_of(self.process.pid)
        self._started_at, self._restart_at = time.monotonic(), None
        if self.identity is not None:
            self.pid_file.write_text(f"{self.identity.pid} {self.identity.start_time}\n", encoding="utf-8")

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def revive(self) -> str | None:
        """Checks the process once: notes its death, and restarts it when its backoff is over.

        Returns:
            What happened, in words; None if nothing did.
        """
        if self.is_alive:
            return None
        now = time.monotonic()
        if self._restart_at is None:
            self._deaths = 0 if now - self._started_at > STEADY_SECONDS else self._deaths
            delay = BACKOFF_SECONDS[min(self._deaths, len(BACKOFF_SECONDS) - 1)]
            self._deaths += 1
            self._restart_at = now + delay
            return f"{self.name} {describe_exit(self.returncode)}; starting it again in {delay:g} s (log: {self.log})"
        if now < self._restart_at:
            return None
        self._end_session()
        self.restarts += 1
        self.start()
        return f"{self.name} started again (pid {self.identity.pid if self.identity else '?'})"

    def _end_session(self) -> None:
        """Ends the dead process's children: they would hold the port, or run a task that nobody waits for."""
        if self.process is None:
            return
        for one in marked(Path(self.environment[env.PLATFORM])):
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(one.pid) == self.process.pid:
                    _signal(one, signal.SIGKILL)

    def tail(self, lines: int = 15) -> str:
        return tail_of(self.log, lines)


def describe_exit(returncode: int | None) -> str:
    if returncode is None:
        return "is gone"
    return f"was ended by {signal.Signals(-returncode).name}" if returncode < 0 else f"exited with {returncode}"


def tail_of(path: Path, lines: int) -> str:
    """The last lines of a log file; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64 * 1024))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def end_all(components: Iterable[Component], home: Path, grace_seconds: float = 8.0) -> int:
    """Ends the components, then every other process with the platform's mark (tasks and their pipelines).

    Returns:
        How many processes had to be killed.
    """
    started = list(components)
    for component in started:
        if component.process is not None:
            signal_group(component.process.pid, signal.SIGTERM)
    _wait(lambda: not any(component.is_alive for component in started), grace_seconds)
    killed = end_marked(home)
    for component in started:
        if component.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                component.process.wait(timeout=5)
        component.pid_file.unlink(missing_ok=True)
    return killed


def end_marked(home: Path, grace_seconds: float = 4.0) -> int:
    """Ends every process with a platform's mark: SIGTERM, and SIGKILL after the grace period.

    Returns:
        How many processes had to be killed.
    """
    for one in marked(home):
        _signal(one, signal.SIGTERM)
    _wait(lambda: not marked(home), grace_seconds)
    killed = 0
    # A process that forks meanwhile leaves a child for the next round.
    for _ in range(20):
        left = marked(home)
        if not left:
            break
        killed += len(left)
        for one in left:
            _signal(one, signal.SIGKILL)
        time.sleep(0.1)
    return killed


def marked(home: Path) -> list[Identity]:
    """The living processes of a platform, whoever is their parent now; never this process or one above it."""
    spared = {os.getpid(), *(one.pid for one in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            bears_mark = process.pid not in spared and process.environ().get(env.PLATFORM) == str(home)
            if bears_mark and (identity := identity_of(process.pid)):
                found.append(identity)
    return found


def pid_file_identities(folder: Path) -> list[Identity]:
    """The processes named by pid files that are still alive."""
    identities = []
    for file in folder.glob("*.pid"):
        try:
            pid, started = (int(part) for part in file.read_text(encoding="utf-8").split())
        except (ValueError, OSError):
            continue
        identities.append(Identity(pid, started))
    return [one for one in identities if one.is_alive]


def signal_group(pgid: int, signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, signum)


def _signal(one: Identity, signum: signal.Signals) -> None:
    if one.is_alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one.pid, signum)


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.1)
