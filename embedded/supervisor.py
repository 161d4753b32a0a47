"""The platform on one machine: Airflow's four components, the model server and the reports, started, watched and stopped together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import storage
from embedded import health
from embedded.credentials import close_off, load_secrets
from embedded.database import Database, choose, remember
from embedded.environment import airflow_environment, process_environment
from embedded.migration import Migration
from embedded.processes import (
    Component,
    describe_exit,
    end_all,
    end_marked,
    identity_of,
    marked,
    pid_file_identities,
    signal_group,
)
from embedded.settings import Paths, Ports
from spec import environment as env
from spec import home
from spec.private_files import write_private

AIRFLOW_COMMANDS = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
COMPONENTS_ONLY = {
    # We migrate before anything uses the database; each component's own check costs a second of imports.
    "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "False",
}
START_TIMEOUT_S = 180.0
LEAD_S = 10.0
"""How long the last components wait for the UI, which people are waiting for: starting means importing, on few cores."""


class PlatformError(Exception):
    """The platform cannot start; the message names the log to read."""


class AlreadyRunningError(Exception):
    """Another supervisor runs a platform in this home."""


class StoppedError(Exception):
    """The user asked to stop while the platform was starting."""


class Platform:
    """One platform in one TRAINYARD_HOME.

    Args:
        home_folder: the TRAINYARD_HOME.
        ports: its loopback ports.
        say: receives one line per event.
        extra_environment: more environment variables for every process.
        database: Airflow's database; None: that of the environment or of an earlier start, else SQLite in the home.
    """

    def __init__(
        self,
        home_folder: Path,
        ports: Ports,
        say: Callable[[str], None] = print,
        extra_environment: dict[str, str] | None = None,
        database: Database | None = None,
    ) -> None:
        self.paths = Paths(home_folder)
        self.database = database or choose(self.paths)
        self.ports = ports
        self.say = say
        self.stop_requested = threading.Event()
        self.fresh_password: str | None = None
        self.components: dict[str, Component] = {}
        self._extra = extra_environment or {}
        self._lock = contextlib.ExitStack()
        self._started_at = time.time()
        self._phase = "starting"

    def __enter__(self) -> Platform:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def acquire(self) -> None:
        """Locks the home for this supervisor and ends what a killed one left behind.

        Raises:
            AlreadyRunningError: another supervisor has it.
        """
        try:
            self._lock.enter_context(storage.exclusive(self.paths.lock, 0))
        except storage.Busy:
            raise AlreadyRunningError(str(self.paths.home)) from None
        if left := clean_up(self.paths):
            self.say(f"Ended {left} processes that an earlier platform had left behind.")

    def start(self) -> None:
        """Starts everything and waits until it is healthy.

        Raises:
            PlatformError: a component cannot start; the message ends with its log.
            CredentialsError, DatabaseError: the key files or the database cannot be used.
            StoppedError: the user asked to stop.
        """
        for opened in close_off(self.paths):
            self.say(
                f"Other users could read {opened}; they no longer can. For a new password delete {self.paths.passwords}"
            )
        keys, made = load_secrets(self.paths)
        self.fresh_password = keys.password if made else None
        environment = airflow_environment(self.paths, self.ports, keys, self.database) | COMPONENTS_ONLY | self._extra
        migration = Migration(self.paths, self.database, environment)
        migration.check()
        self.write_state("starting")
        # The API server imports for seconds before it uses the database, so a new database is created meanwhile. An existing
        # one is never changed under a running server.
        order = [lambda: self._start_airflow("api-server", environment), lambda: self._migrate(migration)]
        for step in order if migration.is_first else reversed(order):
            step()
        self._start_model_server()
        self._start_report_server()
        self._start_airflow("scheduler", environment)
        self._wait_for_ui()
        self._start_airflow("dag-processor", environment)
        self._start_airflow("triggerer", environment)
        self.write_state("starting")
        self._wait_until_healthy()
        self.write_state("running")

    def watch(self, poll_seconds: float = 1.0) -> None:
        """Restarts what dies, until a stop is requested."""
        while not self.stop_requested.wait(poll_seconds):
            self.revive()

    def revive(self) -> None:
        """Checks every component once."""
        for component in self.components.values():
            if event := component.revive():
                self.say(event)
                self.write_state(self._phase)

    def stop(self) -> None:
        """Ends every process of the platform; may be called twice."""
        self.stop_requested.set()
        if self.components:
            self.write_state("stopping")
        end_all(self.components.values(), self.paths.home)
        self.components = {}
        self.paths.state.unlink(missing_ok=True)
        self.paths.server_ready.unlink(missing_ok=True)
        self._lock.close()

    def write_state(self, state: str) -> None:
        """Writes platform.json, which tells `status`, `down` and other tools what runs where."""
        self._phase = state
        supervisor = identity_of(os.getpid())
        content = {
            "state": state,
            "home": str(self.paths.home),
            "started_at": self._started_at,
            "supervisor": asdict(supervisor) if supervisor else None,
            "ports": asdict(self.ports),
            "database": self.database.shown,
            "urls": {
                "airflow": self.ports.airflow_url,
                "model_server": self.ports.server_url,
                "reports": self.ports.reports_url,
            },
            "processes": {
                name: {**(asdict(c.identity) if c.identity else {}), "restarts": c.restarts, "log": str(c.log)}
                for name, c in self.components.items()
            },
        }
        write_private(self.paths.state, json.dumps(content, indent=1))

    def _start(self, name: str, argv: list[str], environment: dict[str, str]) -> None:
        log, pid_file = self.paths.logs / f"{name}.log", self.paths.pids / f"{name}.pid"
        self.components[name] = Component(name, argv, environment, log, pid_file)
        self.components[name].start()

    def _start_model_server(self) -> None:
        self.paths.server_ready.unlink(missing_ok=True)
        store = home.store_uri() if env.STORE in os.environ else str(self.paths.home / "models")
        if "://" not in store:
            Path(store).mkdir(parents=True, exist_ok=True)
        argv = [str(home.environment_python("serving")), "-P", "-m", "serving", "--store", store, "--host", "127.0.0.1"]
        argv += ["--rest-port", str(self.ports.rest), "--grpc-port", str(self.ports.grpc)]
        # One process: on one machine Airflow and the pipelines need the memory of another.
        argv += ["--ready-file", str(self.paths.server_ready), "--workers", "1"]
        self._start("model-server", argv, process_environment(self.paths, self.ports) | self._extra)

    def _start_report_server(self) -> None:
        argv = [
            str(home.environment_python("airflow")),
            "-P",
            "-m",
            "embedded.pages",
            "--port",
            str(self.ports.reports),
        ]
        self._start("report-server", argv, process_environment(self.paths, self.ports) | self._extra)

    def _start_airflow(self, name: str, environment: dict[str, str]) -> None:
        python = str(home.environment_python("airflow"))
        self._start(name, [python, "-P", "-m", "airflow", *AIRFLOW_COMMANDS[name]], environment)

    def _migrate(self, migration: Migration) -> None:
        trouble = migration.run(self.stop_requested)
        if self.stop_requested.is_set():
            raise StoppedError
        if trouble:
            raise PlatformError(trouble)
        remember(self.paths, self.database)

    def _wait_for_ui(self) -> None:
        deadline = time.monotonic() + LEAD_S
        while time.monotonic() < deadline:
            if health.ui_answers(self.ports):
                self.say(f"Airflow's UI answers after {time.time() - self._started_at:.0f} s: {self.ports.airflow_url}")
                return
            if self.stop_requested.wait(0.2):
                raise StoppedError

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            states = health.check(self.ports)
            # A release that cannot be served must not keep Airflow from training the next one. Components must be alive as well:
            # another program could have taken the port and answered.
            alive = all(component.is_alive for component in self.components.values())
            if alive and all(state in ("healthy", health.NOT_READY) for state in states.values()):
                if states["model-server"] != "healthy":
                    self.say(f"The model server is not ready. Log: {self.components['model-server'].log}")
                return
            for component in self.components.values():
                if not component.is_alive and component.restarts >= 2:
                    raise PlatformError(
                        f"{component.name} does not start: it {describe_exit(component.returncode)}. "
                        f"Log: {component.log}\n{component.tail()}"
                    )
            if time.monotonic() > deadline:
                ill = ", ".join(f"{name} ({state})" for name, state in states.items() if state != "healthy")
                raise PlatformError(f"not healthy after {START_TIMEOUT_S:.0f} s: {ill}. Logs: {self.paths.logs}")
            self.revive()
            if self.stop_requested.wait(0.25):
                raise StoppedError


def clean_up(paths: Paths) -> int:
    """Ends what is left of a platform whose supervisor is gone, and removes its state.

    Returns:
        How many processes were left.
    """
    left = {one.pid for one in marked(paths.home)} | {one.pid for one in pid_file_identities(paths.pids)}
    for one in pid_file_identities(paths.pids):
        # Our components lead their own groups: a process that does not is not the one that we started.
        if os.getpgid(one.pid) == one.pid:
            signal_group(one.pid, signal.SIGTERM)
    if left:
        end_marked(paths.home)
    for file in paths.pids.glob("*.pid"):
        file.unlink(missing_ok=True)
    paths.state.unlink(missing_ok=True)
    return len(left)


def read_state(paths: Paths) -> dict[str, Any] | None:
    """The content of platform.json; None if no platform was started, or it was stopped."""
    try:
        state = json.loads(paths.state.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def is_locked(paths: Paths) -> bool:
    """Whether a living supervisor holds this home."""
    if not paths.lock.exists():
        return False
    try:
        with storage.exclusive(paths.lock, 0):
            return False
    except storage.Busy:
        return True
