"""Airflow's database on PostgreSQL: the loop, a restart, and two schedulers at once."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from embedded.credentials import load_secrets
from embedded.database import Database
from embedded.processes import Component, end_marked, marked
from embedded.settings import choose_ports, free_port
from embedded.supervisor import Platform
from tests.airflow_client import AirflowClient
from tests.embedded.conftest import Home, Running, wait_for
from tests.servers import PASSWORD, Postgres

TASKS = 12
DAGS = Path(__file__).parent / "doubles" / "dags"


def test_wrong_password_is_one_line_and_exit_code_2(fresh_home: Home, postgres: Postgres) -> None:
    fresh_home.environment["PGPASSWORD"] = "wrong"
    result = fresh_home.run("up", "--database", postgres.url())
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "password authentication failed" in result.stderr and "PGPASSWORD" in result.stderr
    assert marked(fresh_home.folder) == []


@pytest.mark.slow
def test_loop_and_history_on_postgres(fresh_home: Home, postgres: Postgres) -> None:
    fresh_home.use_postgres(postgres, "airflow")
    first = fresh_home.start("up", "--workload", "taxi")
    fresh_home.wait_until_up(first)
    platform = Running(fresh_home)
    wait_for(lambda: platform.api.dag_is_loaded("deploy_taxi"), 60, "the DAGs are loaded")
    platform.land(1)
    assert platform.finished(platform.next_run("retrain_taxi"))[0] == "success"
    assert platform.finished(platform.next_run("deploy_taxi"))[0] == "success"
    assert not fresh_home.paths.database.exists(), "no SQLite file beside it"
    for process in marked(fresh_home.folder):
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        assert PASSWORD not in arguments
    assert postgres.url("airflow") in fresh_home.run("status").stdout
    first.terminate()
    assert first.wait(timeout=60) == 0

    # The home knows its database; only the password has to be given again.
    del fresh_home.environment["TRAINYARD_AIRFLOW_DATABASE"]
    again = fresh_home.start("up", "--workload", "taxi")
    fresh_home.wait_until_up(again)
    assert [run.state for run in fresh_home.api().runs("retrain_taxi")] == ["success"]
    again.terminate()
    assert again.wait(timeout=60) == 0
    kept = "\n".join(file.read_text(errors="replace") for file in fresh_home.folder.rglob("*.log"))
    assert PASSWORD not in kept and PASSWORD not in fresh_home.paths.database_choice.read_text()


@pytest.fixture
def two_schedulers(
    tmp_path: Path, environments: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    monkeypatch.setenv("TRAINYARD_VENVS", str(environments))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    postgres.create_database("two")
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__PARALLELISM": "3",
        "COUNTED_TASKS": str(TASKS),
        "COUNTED_FILE": str(tmp_path / "counted.txt"),
    }
    ports = choose_ports(free_port(), free_port(), free_port())
    platform = Platform(tmp_path / "home", ports, print, settings, Database(postgres.url("two")))
    with platform:
        platform.start()
        one = platform.components["scheduler"]
        paths = platform.paths
        second = Component(
            "scheduler-2", one.argv, one.environment, paths.logs / "scheduler-2.log", paths.pids / "scheduler-2.pid"
        )
        platform.components[second.name] = second
        second.start()
        watcher = threading.Thread(target=platform.watch)
        watcher.start()
        yield platform
        platform.stop_requested.set()
        watcher.join()
    end_marked(tmp_path / "home", grace_seconds=0)


def rows(server: Postgres, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(psycopg2.connect(server.url("two"), password=PASSWORD)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())


@pytest.mark.slow
def test_two_schedulers_run_no_task_twice_and_lose_none(
    two_schedulers: Platform, postgres: Postgres, tmp_path: Path
) -> None:
    platform = two_schedulers
    api = AirflowClient(platform.ports, platform.paths, load_secrets(platform.paths)[0].password)
    wait_for(lambda: api.dag_is_loaded("counted"), 60, "the DAG is loaded")
    alive = "select id from job where job_type = 'SchedulerJob' and state = 'running'"
    wait_for(lambda: len(rows(postgres, alive)) == 2, 60, "both schedulers have reported")
    runs = [api.trigger("counted", {}) for _ in range(3)]
    wait_for(lambda: all(one.state == "success" for one in api.runs("counted")), 300, "all runs succeed")
    lines = (tmp_path / "counted.txt").read_text().splitlines()
    once = collections.Counter(lines)
    assert once == {f"{run.run_id} {number} 1": 1 for run in runs for number in range(TASKS)}
    queued_by = rows(postgres, "select distinct queued_by_job_id from task_instance")
    assert len(queued_by) == 2, "both schedulers took part"

    runs = [api.trigger("counted", {}) for _ in range(2)]
    written = lambda: collections.Counter((tmp_path / "counted.txt").read_text().splitlines()[len(lines) :])  # noqa: E731
    wait_for(lambda: len(written()) >= TASKS // 2, 60, "some tasks have run")
    second = platform.components["scheduler-2"].process
    assert second is not None
    os.killpg(second.pid, signal.SIGKILL)
    wait_for(lambda: all(one.state == "success" for one in api.runs("counted")), 300, "the other one goes on alone")
    assert all(times == 1 for times in written().values()), "no try of a task ran twice"
    done = {tuple(line.split()[:2]) for line in written()}
    assert done == {(run.run_id, str(number)) for run in runs for number in range(TASKS)}, "none is lost"
