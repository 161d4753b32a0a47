"""The embedded Airflow's own logs and rows grow old too."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from cli.main import main
from embedded import airflow_cli
from embedded.credentials import load_secrets
from embedded.housekeeping import sweep
from embedded.settings import Paths
from pipelines.housekeeping import Limits

LIMITS = Limits(days=30)


@pytest.fixture
def paths(tmp_path: Path, environments: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    for name in [name for name in os.environ if name.startswith(("TRAINYARD_", "AIRFLOW"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINYARD_HOME", str(tmp_path))
    monkeypatch.setenv("TRAINYARD_VENVS", str(environments))
    return Paths(tmp_path)


def log(paths: Paths, name: str, days: float) -> Path:
    file = paths.task_logs / name / "attempt=1.log"
    file.parent.mkdir(parents=True)
    file.write_text("x" * 100)
    os.utime(file, (time.time() - days * 86400,) * 2)
    return file


def test_old_logs_go_and_young_ones_stay(paths: Paths) -> None:
    old = log(paths, "dag_id=retrain_taxi/run_id=a/task_id=train", 40)
    young = log(paths, "dag_id=retrain_taxi/run_id=b/task_id=train", 2)
    log(paths, "dag_processor/2026-01-01/dags-folder", 40)
    (paths.task_logs / "dag_processor" / "latest").symlink_to("2026-01-01")
    found = sweep(LIMITS)
    assert [(one.kind, one.name, one.bytes) for one in found.items] == [
        ("log", "dag_id=retrain_taxi/run_id=a", 100),
        ("log", "dag_processor/2026-01-01", 100),
    ]
    assert old.exists(), "nothing is deleted unless asked to"
    sweep(LIMITS, delete=True)
    assert not old.exists() and young.exists()
    sweep(Limits(days=0), delete=True)
    assert not young.exists()
    fresh = log(paths, "dag_id=retrain_taxi/run_id=c/task_id=train", 0.5)
    assert sweep(Limits(days=0), delete=True).items == [] and fresh.exists(), "a day stays whatever is asked"


def test_a_database_that_cannot_be_asked_is_one_line_and_may_be_tried_again(
    paths: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_secrets(paths)
    paths.database.touch()
    old = log(paths, "dag_id=retrain_taxi/run_id=a/task_id=train", 40)
    monkeypatch.setattr(airflow_cli, "run", lambda _: subprocess.CompletedProcess([], 1, "", "x\ndatabase is locked\n"))
    assert main(["housekeeping", "--yes"]) == 1
    said = capsys.readouterr()
    assert said.err == "trainyard housekeeping: Airflow's database was not cleaned: database is locked\n"
    assert "deleted 100 bytes" in said.out and not old.exists(), "the rest has been done"


@pytest.mark.slow
def test_old_rows_of_airflow_s_database_go(paths: Paths) -> None:
    load_secrets(paths)
    assert airflow_cli.run(["db", "migrate"]).returncode == 0
    with sqlite3.connect(paths.database) as db:
        for age in ("-40 days", "-2 days"):
            db.execute("INSERT INTO log (dttm, event) VALUES (datetime('now', ?), 'test')", (age,))
    (item,) = sweep(LIMITS).items
    assert (item.kind, item.name) == ("rows", "1 rows of Airflow's database")
    (item,) = sweep(LIMITS, delete=True).items
    assert item.kind == "rows" and sweep(LIMITS).items == []
    with sqlite3.connect(paths.database) as db:
        assert db.execute("SELECT count(*) FROM log WHERE event = 'test'").fetchone() == (1,)
