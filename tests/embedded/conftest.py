"""A platform for the tests: the real Airflow, stand-ins for the pipeline and the model server (doubles/)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from embedded.airflow_api import FINISHED, DagRun
from embedded.credentials import load_secrets
from embedded.processes import end_marked
from embedded.settings import Paths, Ports, free_port
from embedded.supervisor import read_state
from tests.airflow_client import AirflowClient
from tests.embedded.doubles import make_environments
from tests.servers import PASSWORD, Postgres, postgres_server

ROOT = Path(__file__).resolve().parents[2]
MAIN = (
    "import argparse, sys; from cli.embedded import add_commands; parser = argparse.ArgumentParser(); "
    "add_commands(parser.add_subparsers()); options = parser.parse_args(); sys.exit(options.handler(options))"
)


def wait_for(done: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while True:
        # A server that is busy, or being started again, is no answer yet.
        with contextlib.suppress(httpx.TransportError):
            if done():
                return
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.25)


class Home:
    """One TRAINYARD_HOME and the commands run in it, as a user would: processes of their own."""

    def __init__(self, folder: Path, environments: Path) -> None:
        self.folder = folder
        self.paths = Paths(folder)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("TRAINYARD", "AIRFLOW"))}
        self.environment |= {"TRAINYARD_HOME": str(folder), "TRAINYARD_VENVS": str(environments)}
        self.log = folder.parent / f"{folder.name}-up.log"

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """Starts a command with no terminal and its stdin closed; `up` on ports that the kernel chose."""
        if arguments[0] == "up":
            for name in ("airflow", "rest", "grpc", "reports"):
                arguments += (f"--{name}-port", str(free_port()))
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", MAIN, *arguments],
                env=self.environment | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MAIN, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, check=False)

    def wait_until_up(self, supervisor: subprocess.Popen[bytes]) -> None:
        def running() -> bool:
            assert supervisor.poll() is None, self.log.read_text()
            state = read_state(self.paths)
            # A killed supervisor's state is still there until the next one has cleaned up.
            return state is not None and state["state"] == "running" and state["supervisor"]["pid"] == supervisor.pid

        wait_for(running, 180, "the platform is up")

    def use_postgres(self, server: Postgres, name: str) -> None:
        """Airflow's runs go to a new database of the server from now on."""
        server.create_database(name)
        self.environment |= {"TRAINYARD_AIRFLOW_DATABASE": server.url(name), "PGPASSWORD": PASSWORD}

    def api(self) -> AirflowClient:
        state = read_state(self.paths)
        assert state is not None
        return AirflowClient(Ports(**state["ports"]), self.paths, load_secrets(self.paths)[0].password)


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_environments(tmp_path_factory.mktemp("environments"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def fresh_home(tmp_path: Path, environments: Path) -> Iterator[Home]:
    one = Home(tmp_path / "home", environments)
    yield one
    end_marked(one.folder, grace_seconds=0)


class Running:
    """A platform that is up, and what lands in it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.api = home.api()
        self._seen: set[str] = set()

    def land(self, span: int, steering: str = "{}") -> None:
        """Lets a span appear in one rename; the stand-in pipeline does what `outcome.json` in it says."""
        folder = self.home.folder / "data" / "taxi"
        unfinished = folder / f".span-{span}"
        unfinished.mkdir(parents=True)
        (unfinished / "outcome.json").write_text(steering)
        unfinished.rename(folder / f"span-{span}")

    def next_run(self, dag_id: str, seconds: float = 60) -> DagRun:
        found: list[DagRun] = []

        def appeared() -> bool:
            found[:] = [run for run in self.api.runs(dag_id) if run.run_id not in self._seen]
            return bool(found)

        wait_for(appeared, seconds, f"a run of {dag_id}")
        self._seen.add(found[0].run_id)
        return found[0]

    def rest_of(self, dag_id: str, quiet_seconds: float = 12) -> Iterator[DagRun]:
        """The runs that come until no more do."""
        while True:
            try:
                yield self.next_run(dag_id, quiet_seconds)
            except AssertionError:
                return

    def finished(self, run: DagRun, seconds: float = 120) -> tuple[str, dict[str, str | None]]:
        """The run's final state and its tasks'."""
        state = [run.state]

        def ended() -> bool:
            state[0] = next(one.state for one in self.api.runs(run.dag_id) if one.run_id == run.run_id)
            return state[0] in FINISHED

        wait_for(ended, seconds, f"{run.run_id} ends")
        return state[0], {task.task_id: task.state for task in self.api.tasks(run)}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, environments: Path) -> Iterator[Running]:
    """One platform for a module's tests; Airflow takes its quarter of a minute to start."""
    home = Home(tmp_path_factory.mktemp("platform") / "home", environments)
    supervisor = home.start("up", "--workload", "taxi")
    try:
        home.wait_until_up(supervisor)
        running = Running(home)
        wait_for(lambda: running.api.dag_is_loaded("deploy_taxi"), 60, "the DAGs are loaded")
        yield running
    finally:
        supervisor.terminate()
        supervisor.wait(timeout=60)
        end_marked(home.folder, grace_seconds=0)
