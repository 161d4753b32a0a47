"""`trainyard run` with a search: a process and then the run itself are killed, and it is run again."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from spec import home
from tests.fuse import FUSE, IMPORTS

TRAINING = """training:
  epochs: 4
  batch_size: 32
  hyperparameters: {units: 16, learning_rate: 0.01}
  search:
    trials: 6
    parallel: 2
    space:
      units: {type: int, low: 4, high: 32, step: 4}
      learning_rate: {type: float, low: 0.001, high: 0.1, log: true}
"""
LIMIT_S = 300


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_search_that_is_killed_goes_on(yard, tmp_path: pathlib.Path) -> None:
    workload, model = (yard.folder / name for name in ("workload.yaml", "model.py"))
    text = (
        model.read_text()
        .replace("import keras\n", IMPORTS + FUSE)
        .replace("Dense(16", 'Dense(hyperparameters["units"]')
    )
    yard.write(
        workload=workload.read_text().replace("training: {epochs: 3, batch_size: 32}\n", TRAINING),
        model=text.replace("    return keras.Model(", "    x = Fuse()(x)\n    return keras.Model("),
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "run", "tips"],
        env={**os.environ, "SECONDS_PER_STEP": "0.02"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        first = _wait(run, ended=1)
        os.kill(int(first.user_attrs["worker"].rpartition("/")[2]), signal.SIGKILL)
        last = _wait(run, ended=3)
    finally:
        run.kill()
        run.wait()
    _wait_for_death(int(last.user_attrs["worker"].rpartition("/")[2]))
    before = {one.number: one.value for one in _trials() if one.state in (TrialState.COMPLETE, TrialState.PRUNED)}

    done = subprocess.run([sys.executable, "-m", "cli.main", "run", "tips", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    record = json.loads(pathlib.Path(result["search"]["record"]).read_text())
    told = {one["number"]: one for one in record["trials"]}
    assert before.items() <= {number: one["value"] for number, one in told.items()}.items()
    assert sum("instead_of" not in one for one in told.values()) == 6
    # The one that was killed, and the two that were under way when the run was.
    assert 1 <= record["counts"]["lost"] <= 3 and told[first.number]["state"] == "lost"
    assert not list((home.pipeline_root("tips") / "Tuner/.system/searches").iterdir())

    (history,) = [
        json.loads(p.read_text()) for p in home.pipeline_root("tips").glob("Trainer/model_run/*/history.json")
    ]
    assert record["values"].items() <= history["hyperparameters"].items()
    assert history["search"]["values"] == record["values"] == result["search"]["values"]
    release = json.loads((pathlib.Path(result["release"]["uri"]) / "release.json").read_text())
    assert release["search"]["values"] == record["values"]
    assert "search-history" in pathlib.Path(result["reports"]["run"]).read_text()

    # What won, written into workload.yaml, is what the cache has been asked for.
    tuned = subprocess.run(
        [sys.executable, "-m", "cli.main", "tune", "tips", "--yes"], capture_output=True, text=True, check=True
    )
    assert f"written   {workload}" in tuned.stdout
    again = subprocess.run([sys.executable, "-m", "cli.main", "run", "tips", "--json"], capture_output=True, text=True)
    components = {one["id"]: one["cached"] for one in json.loads(again.stdout)["components"]}
    assert components["Tuner"]


def _trials() -> list[FrozenTrial]:
    journals = list((home.pipeline_root("tips") / "Tuner/.system/searches").glob("*/study.journal"))
    if not journals or not journals[0].stat().st_size:
        return []
    storage = JournalStorage(JournalFileBackend(str(journals[0])))
    names = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=names[0], storage=storage).trials if names else []


def _wait(run: subprocess.Popen[bytes], ended: int) -> FrozenTrial:
    """A trial under way, after so many that have ended by themselves."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        assert run.poll() is None
        trials = _trials()
        under_way = [t for t in trials if t.state is TrialState.RUNNING and "worker" in t.user_attrs and t.last_step]
        if under_way and sum(t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in trials) >= ended:
            return under_way[0]
        time.sleep(0.05)
    raise AssertionError(f"after {LIMIT_S} s: {[one.state for one in _trials()]}")


def _wait_for_death(process: int) -> None:
    until = time.monotonic() + 10
    while pathlib.Path(f"/proc/{process}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not pathlib.Path(f"/proc/{process}").exists()
