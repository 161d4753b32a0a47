"""Proof by killing: SIGKILL of each part of the platform at each state of a remote training, in an order of a fixed seed.

Every run ends once and well, no pipeline is submitted twice, no release is deployed twice, none is lost. The times of recovery go to
build/chaos/recovery-sqlite.md, with what happened when beside them. CHAOS_KILLS=3 does the first three; CHAOS_DATABASE=postgresql
takes PostgreSQL instead of SQLite.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.airflow_api import DagRun
from embedded.database import Database
from spec import home
from tests.chaos.airflow.arena import WHOLE_WORKER, WORKER, Arena
from tests.embedded.doubles import make_environments
from tests.servers import PASSWORD, postgres_server

server_module = pytest.importorskip("tests.airflow_kubeflow.kubeflow_server", reason="needs the double of KFP's API")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]
SEED = 20261121
STAND_IN = "stand-in"
STAGES = ("submit", "deferred", "running", "finishing")
VICTIMS = ("scheduler", "triggerer", "api-server", STAND_IN)
# A task that waits in the triggerer has no process: a worker can be killed at the first and the last state, twice each.
KILLS = [*itertools.product(VICTIMS, STAGES), *[(WORKER, "submit"), (WORKER, "finishing")] * 2]
DATABASE = os.environ.get("CHAOS_DATABASE", "sqlite")
REPORT = home.ROOT / "build" / "chaos" / f"recovery-{DATABASE}.md"


class Chaos:
    """The arena, KFP's stand-in, and what the DAGs wrote down."""

    def __init__(self, arena: Arena, kubeflow: server_module.KubeflowServer, folder: Path) -> None:
        self.arena, self.kubeflow, self.folder = arena, kubeflow, folder
        self.random = random.Random(SEED)
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        self._began = time.monotonic()
        self._diary = REPORT.with_suffix(".log").open("w", buffering=1)
        arena.say = self.say

    def say(self, line: str) -> None:
        """Into the diary of the kills, with the seconds since it began."""
        self._diary.write(f"{time.monotonic() - self._began:6.1f} {line}\n")

    def lines(self, what: str) -> Counter[str]:
        file = self.folder / what
        return Counter(file.read_text().splitlines() if file.exists() else [])

    def reach(self, stage: str, run: DagRun) -> None:
        """Waits until the training is at a stage; the kill comes next."""
        if stage == "submit":
            # Before, during or after the request that creates the remote run: the seed decides.
            self.arena.wait(self.arena.workers, 60, "the task has a process", pause=0.02)
            time.sleep(self.random.uniform(0, 1.2))
            return
        self.arena.wait_for_task(run, "train", "deferred")
        if stage == "deferred":
            return
        self.arena.wait(lambda: self.kubeflow.runs[-1]["state"] == "RUNNING", 60, "the triggerer looks at the run")
        if stage == "finishing":
            # Anywhere from the task's resuming to the announcement of its release.
            self.kubeflow.end(**server_module.DONE)
            self.arena.wait(self.arena.workers, 60, "the task has a process again", pause=0.02)
            time.sleep(self.random.uniform(0, 1.5))

    def round(self, victim: str | None, stage: str) -> float:
        """One training from end to end with one kill in it.

        Returns:
            Seconds from the kill (or, without one, from the same moment) until the training's run has ended.
        """
        self.kubeflow.steer(script=[server_module.RUNNING], answer_after=1.0)
        before = self.kubeflow.count(server_module.CREATE)
        run = self.arena.trigger("chaos_retrain")
        self.reach(stage, run)
        self.say(f"{victim} at {stage}: now, in {run.run_id}")
        struck = self.arena.kill(victim).at if victim else time.monotonic()
        if victim == STAND_IN:
            time.sleep(self.arena.away_s)
        self.arena.wait(lambda: self.kubeflow.count(server_module.CREATE) > before, 300, "the remote run exists")
        self.kubeflow.end(**server_module.DONE)
        assert self.arena.finished(run) == "success", f"{victim} at {stage}"
        took = time.monotonic() - struck
        tries = [self.arena.task(run, task_id).try_number for task_id in ("train", "release")]
        self.say(f"{victim} at {stage}: the run has ended, {took:.0f} s later; tries of train and release: {tries}")
        assert self.kubeflow.count(server_module.CREATE) == before + 1, f"{victim} at {stage}: submitted twice"
        deployed = lambda: [one.state for one in self.arena.runs("chaos_deploy")] == ["success"] * (before + 1)  # noqa: E731
        self.arena.wait(
            deployed, 300, f"{victim} at {stage}: each release has started a deployment, and it has ended well"
        )
        self.say(f"{victim} at {stage}: deployed")
        self.arena.wait(self.arena.healthy, 300, "all is healthy again")
        self.arena.wait(lambda: not self.arena.workers(), 60, "no task's process is left")
        self.say(f"{victim} at {stage}: all is healthy")
        return took


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    folder = tmp_path_factory.mktemp("chaos")
    real = home.environment_python("pipelines").parents[1]
    environments = make_environments(folder / "environments", real=("pipelines",), root=real.parent)
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as servers:
        patch.setenv("TRAINYARD_VENVS", str(environments))
        patch.setenv("PGPASSWORD", PASSWORD)
        kubeflow = server_module.KubeflowServer(folder / "kubeflow")
        kubeflow.start()
        settings = {
            "AIRFLOW_CONN_KUBEFLOW_DEFAULT": kubeflow.connection(),
            "CHAOS_FOLDER": str(folder),
            "CHAOS_PIPELINE": str(server_module.EXAMPLE),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(home.ROOT), os.environ.get("PYTHONPATH")])),
        }
        database = Database(servers.enter_context(postgres_server()).url()) if DATABASE == "postgresql" else None
        dags = Path(__file__).parent / "dags"
        arena = Arena(folder / "home", dags, settings, database, {STAND_IN: kubeflow})
        try:
            arena.start("chaos_retrain", "chaos_deploy")
            yield Chaos(arena, kubeflow, folder)
        finally:
            arena.stop()
            kubeflow.kill()


def test_twenty_kills(chaos: Chaos) -> None:
    assert len(KILLS) == 20
    order = list(KILLS)
    chaos.random.shuffle(order)
    order = order[: int(os.environ.get("CHAOS_KILLS", len(order)))]
    calm = {stage: chaos.round(None, stage) for stage in STAGES}
    times: dict[tuple[str, str], list[float]] = {}
    load = [os.getloadavg()[0]]
    for victim, stage in order:
        times.setdefault((victim, stage), []).append(chaos.round(victim, stage))
        load.append(os.getloadavg()[0])
        write_report(times, calm, load)
    rounds = len(order) + len(STAGES)
    retrained, deployed = chaos.arena.runs("chaos_retrain"), chaos.arena.runs("chaos_deploy")
    assert Counter(run.state for run in retrained) == {"success": rounds}
    assert Counter(run.state for run in deployed) == {"success": rounds}, "a deployment for each release"
    assert chaos.lines("deployed") == {remote["run_id"]: 1 for remote in chaos.kubeflow.runs}, "each once, none lost"
    assert chaos.kubeflow.told()["violations"] == []


def test_a_worker_dies_whole(chaos: Chaos) -> None:
    """Nobody is left to report for the task: Airflow has to miss its heartbeat."""
    chaos.round(WHOLE_WORKER, "submit")


def write_report(times: dict[tuple[str, str], list[float]], calm: dict[str, float], load: list[float]) -> None:
    """Rows: what was killed; columns: when; cells: seconds until the training had ended, the longest where there are two."""
    rows = [("nothing", *(f"{calm[stage]:.0f}" for stage in STAGES))]
    for victim in (*VICTIMS, WORKER):
        seconds = [times.get((victim, stage)) for stage in STAGES]
        rows.append((victim, *("" if one is None else f"{max(one):.0f}" for one in seconds)))
    lines = ["| killed | " + " | ".join(STAGES) + " |", "|---" * (len(STAGES) + 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    kills = sum(map(len, times.values()))
    lines += [
        "",
        f"{kills} kills; {DATABASE}; {os.cpu_count()} cores, load average {min(load):.1f} to {max(load):.1f}.",
    ]
    REPORT.write_text("\n".join(lines) + "\n")
