"""A real platform to kill parts of: Airflow's four components under the real supervisor, which starts again what dies."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import httpx

from embedded import health
from embedded.airflow_api import DagRun, TaskState
from embedded.credentials import load_secrets
from embedded.database import Database
from embedded.processes import Identity, end_marked, marked
from embedded.settings import choose_ports, free_port
from embedded.supervisor import Platform
from tests.airflow_client import AirflowClient

Answer = TypeVar("Answer")
COMPONENTS = ("scheduler", "triggerer", "api-server", "dag-processor")
WORKER = "worker"
"""The process in which a task's own code runs."""
WHOLE_WORKER = "worker, whole"
"""That process and the one that looks after it and reports for it."""
_TASK, _SUPERVISOR = "airflow worker --", "airflow worker -- LocalExecutor:"


class Remote(Protocol):
    """What the tasks talk to, as a process of its own whose state outlives it."""

    def start(self) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Kill:
    """What was killed, when: on the clock that measures recovery."""

    victim: str
    at: float


class Arena:
    """One platform in one folder.

    Args:
        folder: For its state.
        dags: The folder of its DAGs.
        settings: Environment variables of its processes.
        database: Airflow's database; None: SQLite.
        remotes: What may be killed beside Airflow, by name. They are started again `away_s` after a kill.
    """

    away_s = 3.0

    def __init__(
        self,
        folder: Path,
        dags: Path,
        settings: Mapping[str, str],
        database: Database | None = None,
        remotes: Mapping[str, Remote] | None = None,
    ) -> None:
        ports = choose_ports(free_port(), free_port(), free_port())
        extra = {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), **settings}
        self.events: list[str] = []
        self.say: Callable[[str], object] = lambda line: None
        self.platform = Platform(folder, ports, self._told, extra, database)
        self._remotes = dict(remotes or {})
        self._watcher = threading.Thread(target=self.platform.watch, args=(0.2,))
        self._api: AirflowClient | None = None

    def start(self, *dag_ids: str) -> None:
        """Starts everything and waits until the DAGs are loaded."""
        self.platform.acquire()
        self.platform.start()
        self._watcher.start()
        for dag_id in dag_ids:
            self.wait(lambda dag_id=dag_id: self.api.dag_is_loaded(dag_id), 300, f"{dag_id} is loaded")

    def stop(self) -> None:
        self.platform.stop_requested.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self.platform.stop()
        end_marked(self.platform.paths.home, grace_seconds=0)

    @property
    def api(self) -> AirflowClient:
        """Logged in; the session of a killed API server is no longer worth anything."""
        if self._api is None:
            password = load_secrets(self.platform.paths)[0].password
            self._api = AirflowClient(self.platform.ports, self.platform.paths, password)
        return self._api

    def kill(self, victim: str) -> Kill:
        """SIGKILL for a component's whole process group, for the running task's process, or for a remote.

        There is always somebody to kill: a kill that meets nobody shows nothing.
        """
        if victim in self._remotes:
            self._remotes[victim].kill()
            threading.Timer(self.away_s, self._remotes[victim].start).start()
        elif victim in (WORKER, WHOLE_WORKER):
            self.wait(lambda: self._kill_workers(victim == WHOLE_WORKER), 60, "a task has a process", pause=0.02)
        else:
            component = self.platform.components[victim]
            assert component.process is not None and component.is_alive, f"{victim} is dead already"
            os.killpg(component.process.pid, signal.SIGKILL)
        return Kill(victim, time.monotonic())

    def _kill_workers(self, whole: bool) -> int:
        """How many tasks there were."""
        tasks = self.workers()
        supervisors = [process for process, title in self._titles() if title.startswith(_SUPERVISOR)] if whole else []
        for process in [*supervisors, *tasks] if tasks else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return len(tasks)

    def workers(self) -> list[Identity]:
        """The processes of tasks that run now, by the title that Airflow gives them."""
        titles = self._titles()
        return [one for one, title in titles if title.startswith(_TASK) and not title.startswith(_SUPERVISOR)]

    def _titles(self) -> list[tuple[Identity, str]]:
        """The platform's processes; without the executor's that have nothing to do."""
        found = []
        for process in marked(self.platform.paths.home):
            with contextlib.suppress(OSError):
                title = Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                if not title.startswith(f"{_SUPERVISOR} <idle>"):
                    found.append((process, title))
        return found

    def _told(self, event: str) -> None:
        self.events.append(event)
        self.say(event)

    # What it looks like from outside. An API server that is away is no answer: ask again.

    def runs(self, dag_id: str) -> list[DagRun]:
        return self._ask(lambda: self.api.runs(dag_id))

    def trigger(self, dag_id: str, conf: dict[str, object] | None = None) -> DagRun:
        """Starts one run; must not be called while the API server is away (asking twice would be two runs)."""
        return self.api.trigger(dag_id, conf or {})

    def task(self, run: DagRun, task_id: str) -> TaskState:
        return next(one for one in self._ask(lambda: self.api.tasks(run)) if one.task_id == task_id)

    def wait_for_task(self, run: DagRun, task_id: str, *states: str | None, seconds: float = 300) -> None:
        what = f"{task_id} of {run.run_id} is {' or '.join(map(str, states))}"
        self.wait(lambda: self.task(run, task_id).state in states, seconds, what, pause=0.05)

    def finished(self, run: DagRun, seconds: float = 600) -> str:
        """The run's final state."""
        state = [run.state]

        def ended() -> bool:
            state[0] = next(one.state for one in self.runs(run.dag_id) if one.run_id == run.run_id)
            return state[0] in ("success", "failed")

        self.wait(ended, seconds, f"{run.run_id} ends")
        return state[0]

    def healthy(self) -> bool:
        """Whether all processes live, and say so: Airflow's own answer about one that was killed is half a minute old."""
        alive = all(component.is_alive for component in self.platform.components.values())
        return alive and all(state == "healthy" for state in health.check(self.platform.ports).values())

    def wait(self, done: Callable[[], object], seconds: float, what: str, pause: float = 0.2) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if done():
                    return
                deadline_passed = time.monotonic() > deadline
                assert not deadline_passed, f"not within {seconds:.0f} s: {what}\n" + "\n".join(self.events)
            time.sleep(pause)
            assert time.monotonic() < deadline + 60, f"Airflow's API is away: {what}\n" + "\n".join(self.events)

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        deadline = time.monotonic() + 300
        while True:
            try:
                return question()
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "Airflow's API does not come back:\n" + "\n".join(self.events)
                self._api = None
                time.sleep(0.3)
