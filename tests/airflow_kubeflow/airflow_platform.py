"""A real Airflow of four components, each in a process group of its own, for tests that kill them."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Mapping

from embedded.airflow_api import FINISHED, DagRun
from embedded.credentials import load_secrets
from embedded.environment import airflow_environment
from embedded.processes import Component, end_all, signal_group
from embedded.settings import Paths, Ports, free_port
from tests.airflow_client import AirflowClient

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


def wait_for(done: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.25)


class AirflowPlatform:
    """One Airflow on SQLite.

    Args:
        folder: for its state.
        dags: the folder of its DAGs.
        extra: environment variables of its processes.
    """

    def __init__(self, folder: pathlib.Path, dags: pathlib.Path, extra: Mapping[str, str]) -> None:
        self.paths, self.ports = Paths(folder), Ports(free_port(), free_port(), free_port())
        keys = load_secrets(self.paths)[0]
        self._password = keys.password
        python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.environment = airflow_environment(self.paths, self.ports, keys) | {
            "PYTHONPATH": python_path,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            **extra,
        }
        self.components = {name: self._component(name, command) for name, command in COMMANDS.items()}
        self.api: AirflowClient

    def start(self, dag_id: str) -> None:
        """Starts everything, and waits until the DAG is loaded."""
        migrate = self._component("migrate", ["db", "migrate"])
        migrate.start()
        assert migrate.process is not None and migrate.process.wait(timeout=600) == 0, migrate.tail()
        for component in self.components.values():
            component.start()

        def logged_in() -> bool:
            try:
                self.api = AirflowClient(self.ports, self.paths, self._password)
            except Exception:
                return False
            self.api._client.timeout = 120  # a machine may be busy
            return True

        wait_for(logged_in, 300, "the API server answers")
        wait_for(lambda: self.api.dag_is_loaded(dag_id), 300, f"{dag_id} is loaded: {self.api.import_errors()}")

    def kill(self, *names: str) -> None:
        """SIGKILL for whole process groups."""
        for name in names:
            process = self.components[name].process
            assert process is not None
            signal_group(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """Ends every process."""
        end_all(self.components.values(), self.paths.home)

    def state(self, run: DagRun, task_id: str = "train") -> tuple[str | None, int]:
        """A task's state and number of tries."""
        return next((one.state, one.try_number) for one in self.api.tasks(run) if one.task_id == task_id)

    def wait_until(self, run: DagRun, state: str, task_id: str = "train", seconds: float = 300) -> None:
        wait_for(lambda: self.state(run, task_id)[0] == state, seconds, f"{task_id} is {state}")

    def finished(self, run: DagRun, seconds: float = 300) -> str:
        """The run's final state."""
        state = [""]

        def ended() -> bool:
            state[0] = next(one.state for one in self.api.runs(run.dag_id) if one.run_id == run.run_id)
            return state[0] in FINISHED

        wait_for(ended, seconds, f"{run.run_id} ends")
        return state[0]

    def log(self, run: DagRun, task_id: str = "train") -> str:
        """Everything a task logged, over all its tries and its waits in the triggerer."""
        folder = self.paths.task_logs / f"dag_id={run.dag_id}" / f"run_id={run.run_id}" / f"task_id={task_id}"
        return "\n".join(file.read_text() for file in sorted(folder.rglob("*.log*")))

    def _component(self, name: str, command: list[str]) -> Component:
        argv = [sys.executable, "-m", "airflow", *command]
        log = self.paths.logs / f"{name}.log"
        return Component(name, argv, self.environment, log, self.paths.pids / f"{name}.pid")
