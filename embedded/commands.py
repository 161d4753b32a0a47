"""`trainyard up`, `status` and `down`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded import health
from embedded.credentials import CredentialsError
from embedded.database import DatabaseError, choose
from embedded.processes import Identity, marked, pid_file_identities
from embedded.settings import USER, Paths, Ports, PortTakenError, choose_ports
from embedded.supervisor import (
    AlreadyRunningError,
    Platform,
    PlatformError,
    StoppedError,
    clean_up,
    is_locked,
    read_state,
)
from spec import environment as env
from spec import exit_codes, home

ENVIRONMENTS = ("airflow", "serving")


def say(line: str) -> None:
    """Prints at once, even into a pipe; a reader that has gone away must not stop the platform."""
    try:
        print(line, flush=True)
    except (BrokenPipeError, OSError):
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def up(
    airflow_port: int | None = None,
    rest_port: int | None = None,
    grpc_port: int | None = None,
    reports_port: int | None = None,
    workloads: tuple[str, ...] = (),
    database: str | None = None,
) -> int:
    """Starts the platform and keeps it running until Ctrl-C, SIGTERM or `trainyard down`.

    Args:
        airflow_port, rest_port, grpc_port, reports_port: loopback ports; None: the usual one, or a free one.
        workloads: load only the DAGs of these workloads; empty: all.
        database: URL of Airflow's PostgreSQL database, without a password; None: the last one used, else SQLite.

    Returns:
        0: stopped as asked, or already running; 1: could not start; 2: a port is taken, an environment is missing, or the
        database or a key file cannot be used.
    """
    paths = Paths(home.home())
    if is_locked(paths):
        return _say_running(paths)
    if missing := missing_environments():
        say(f"The environments {', '.join(missing)} are not installed. Run: ./trainyard setup {' '.join(missing)}")
        return exit_codes.FIX_INPUT
    extra = {env.DAG_WORKLOADS: ",".join(workloads)} if workloads else {}
    try:
        chosen = choose(paths, database)
        # Orphans of a killed supervisor hold the ports, so they are ended first.
        clean_up(paths)
        ports = choose_ports(airflow_port, rest_port, grpc_port, reports_port)
    except (DatabaseError, PortTakenError) as unusable:
        print(f"trainyard up: {unusable}", file=sys.stderr, flush=True)
        return exit_codes.FIX_INPUT
    return _run(Platform(paths.home, ports, say, extra, chosen))


def _run(platform: Platform) -> int:
    started = time.monotonic()
    try:
        with stop_on_signals(platform), platform:
            say(f"Starting Airflow, the model server and the reports (state and logs: {platform.paths.home}) ...")
            platform.start()
            say(f"Running after {time.monotonic() - started:.0f} s.")
            for line in links(platform.paths, platform.ports, platform.fresh_password):
                say(line)
            say("Ctrl-C stops everything.")
            platform.watch()
            say("Stopping ...")
    except AlreadyRunningError:
        return _say_running(platform.paths)
    except StoppedError:
        say("Stopped while starting.")
        return exit_codes.OK
    except (CredentialsError, DatabaseError) as unusable:
        print(f"trainyard up: {unusable}", file=sys.stderr, flush=True)
        return exit_codes.FIX_INPUT
    except PlatformError as error:
        print(f"trainyard up: {error}", file=sys.stderr, flush=True)
        return exit_codes.MAY_RETRY
    say("Stopped; every process has ended.")
    return exit_codes.OK


def down() -> int:
    """Stops this home's platform, whoever started it, and ends the processes that a killed supervisor left behind."""
    paths = Paths(home.home())
    state = read_state(paths)
    supervisor = Identity(**state["supervisor"]) if state and state.get("supervisor") else None
    if supervisor is not None and supervisor.is_alive and is_locked(paths):
        os.kill(supervisor.pid, signal.SIGTERM)
        deadline = time.monotonic() + 40
        while supervisor.is_alive and time.monotonic() < deadline:
            time.sleep(0.1)
        if supervisor.is_alive:
            say(f"The supervisor (pid {supervisor.pid}) did not stop within 40 s; killing it.")
            os.kill(supervisor.pid, signal.SIGKILL)
            time.sleep(0.5)
            clean_up(paths)
        say("Stopped; every process has ended.")
    elif left := clean_up(paths):
        say(f"The supervisor was gone. Ended {left} processes that it had left behind.")
    else:
        say("Nothing is running.")
    return exit_codes.OK


def status() -> int:
    """Prints what is running, where, and in what state; 0 if everything is healthy."""
    paths = Paths(home.home())
    state = read_state(paths)
    if state is None or not is_locked(paths):
        left = len(marked(paths.home)) or len(pid_file_identities(paths.pids))
        say(
            f"Not running, but {left} processes are left behind. End them: ./trainyard down" if left else "Not running."
        )
        return exit_codes.MAY_RETRY
    ports = Ports(**state["ports"])
    states = health.check(ports)
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state["started_at"]))
    say(f"The platform is {state['state']} since {since} ({paths.home})")
    say(f"  database       {state['database']}")
    for name, process in state["processes"].items():
        alive = Identity(process["pid"], process["start_time"]).is_alive if "pid" in process else False
        condition = states.get(name, "unknown") if alive else "not running"
        restarts = process["restarts"]
        again = f", started again {'once' if restarts == 1 else f'{restarts} times'}" if restarts else ""
        say(f"  {name:<14} {condition:<20} pid {process.get('pid', '-')}{again}  log {process['log']}")
    for line in links(paths, ports):
        say(line)
    return exit_codes.OK if all(one == "healthy" for one in states.values()) else exit_codes.MAY_RETRY


def links(paths: Paths, ports: Ports, password: str | None = None) -> list[str]:
    """The addresses of a platform. The password is shown only if it is given, right after it was made."""
    login = f"user {USER}, password {password}" if password else f"user {USER}, password in {paths.passwords}"
    return [
        f"  Airflow       {ports.airflow_url}  ({login})",
        f"  Model server  {ports.server_url}/v1/models/<workload>  (gRPC 127.0.0.1:{ports.grpc})",
        f"  New data      {data_root(paths)}/<workload>/span-<n>/  (watched: a new span starts retrain_<workload>)",
        f"  Reports       {ports.reports_url}  (data quality; of a run: /runs/<workload>/<run>/report.html)",
    ]


def data_root(paths: Paths) -> Path:
    return home.data_root() if env.DATA in os.environ else paths.home / "data"


def missing_environments() -> list[str]:
    return [name for name in ENVIRONMENTS if not home.environment_python(name).exists()]


@contextmanager
def stop_on_signals(platform: Platform) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal ask the platform to stop; repeating it changes nothing."""

    def request(signum: int, frame: object) -> None:
        platform.stop_requested.set()

    previous = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _say_running(paths: Paths) -> int:
    state = read_state(paths)
    say("The platform is running already." if state else "The platform is being started or stopped already.")
    if state:
        for line in links(paths, Ports(**state["ports"])):
            say(line)
        say("Look: ./trainyard status   Stop: ./trainyard down")
    return exit_codes.OK
