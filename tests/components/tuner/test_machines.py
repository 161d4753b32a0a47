"""A search on several machines: real processes, Optuna's proxy, PostgreSQL; machines and the Tuner are killed and stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import optuna
import pytest
import sqlalchemy as sa
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from components import border, searched
from components.tuner import _storages
from components.tuner._job import Job
from components.tuner._study import Study
from spec import environment as env
from spec.errors import InputError, TryAgainError
from tests.servers import PASSWORD, Postgres, postgres_server

pytestmark = pytest.mark.timeout(900)
LIMIT_S = 300


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


def with_password(server: Postgres) -> str:
    return sa.make_url(server.url()).set(password=PASSWORD).render_as_string(hide_password=False)


@pytest.fixture(params=["postgresql", pytest.param("journal", marks=pytest.mark.slow)])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv(env.SEARCH_STORAGE, raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv(env.SEARCH_STORAGE, with_password(request.getfixturevalue("postgres")))
    return request.param


def own_host() -> str:
    """An address of this machine where no other test answers: the port is always the same."""
    return f"127.{os.getpid() % 250 + 1}.{time.monotonic_ns() % 250 + 1}.1"


@dataclasses.dataclass
class Search:
    """Attributes:
    job: as the Tuner has it.
    host: where it answers, of this test process alone.
    """

    job: Job
    host: str
    tuner: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        module = "tests.components.tuner.keeper"
        self.tuner = subprocess.Popen([sys.executable, "-m", module, border.dump(self.job), self.host])

    @functools.cached_property
    def storage(self) -> BaseStorage:
        """To be asked when the Tuner has made it."""
        return _storages.kept(self.job)

    @property
    def trials(self) -> list[FrozenTrial]:
        if self.job.study not in optuna.get_all_study_names(self.storage):
            return []
        return optuna.load_study(study_name=self.job.study, storage=self.storage).trials

    @property
    def machines(self) -> list[int]:
        return json.loads(pathlib.Path(self.job.folder, "machines.json").read_text())

    def under_way(self, count: int, ended: int) -> list[FrozenTrial]:
        """So many trials that have begun, after others have ended."""
        until = time.monotonic() + LIMIT_S
        while not pathlib.Path(self.job.folder, "machines.json").exists():
            assert self.tuner and self.tuner.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        while time.monotonic() < until:
            trials = self.trials
            found = [t for t in trials if t.state is TrialState.RUNNING and t.last_step and "worker" in t.user_attrs]
            if len(found) >= count and sum(one.state is TrialState.COMPLETE for one in trials) >= ended:
                return found
            time.sleep(0.05)
        raise AssertionError([one.state for one in self.trials])

    def result(self) -> searched.Searched:
        assert self.tuner and self.tuner.wait(LIMIT_S) == 0
        return searched.read(pathlib.Path(self.job.folder, "found"))

    def close(self) -> None:
        if self.tuner:
            self.tuner.kill()
            self.tuner.wait()
        if pathlib.Path(self.job.folder, "machines.json").exists():
            for process in self.machines:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)


@pytest.fixture
def search(job: Callable[..., Job], kept: str, tmp_path: pathlib.Path) -> Iterator[Search]:
    (tmp_path / "deaths.json").write_text(json.dumps({"seconds": 0.3}))
    made = dataclasses.replace(job(trials=8, sampler="random"), study=f"taxi-tuner-{tmp_path.name}", machines=2)
    one = Search(made, own_host())
    try:
        yield one
    finally:
        one.close()


def process_of(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["worker"].rpartition("/")[2])


def parent_of(process: int) -> int:
    return int(pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_machine_that_dies_and_one_that_stands_still_cost_a_trial_each(search: Search) -> None:
    search.start()
    first, second = search.under_way(2, ended=1)[:2]
    dead, still = parent_of(process_of(first)), process_of(second)
    assert sorted([dead, parent_of(still)]) == sorted(search.machines)
    for process in (dead, still, process_of(first)):
        assert PASSWORD.encode() not in pathlib.Path(f"/proc/{process}/environ").read_bytes()
    os.kill(dead, signal.SIGKILL)
    os.kill(still, signal.SIGSTOP)
    until = time.monotonic() + LIMIT_S
    while search.trials[second.number].state is TrialState.RUNNING and time.monotonic() < until:
        time.sleep(0.1)
    os.kill(still, signal.SIGCONT)
    record = search.result().record
    assert record["counts"] == {"complete": 8, "pruned": 0, "failed": 0, "lost": 2}
    told = {one["number"]: one for one in record["trials"]}
    assert {one["number"] for one in told.values() if one["state"] == "lost"} == {first.number, second.number}
    repeats = {one["instead_of"]: one["values"] for one in told.values() if "instead_of" in one}
    assert repeats == {number: told[number]["values"] for number in (first.number, second.number)}


@pytest.mark.slow
def test_a_tuner_that_is_killed_goes_on_and_leaves_a_journal(search: Search, kept: str) -> None:
    search.start()
    search.under_way(2, ended=3)
    assert search.tuner
    search.tuner.kill()
    search.tuner.wait()
    before = {one.number: one.value for one in search.trials if one.state is TrialState.COMPLETE}
    search.start()
    record = search.result().record
    assert before.items() <= {one["number"]: one["value"] for one in record["trials"]}.items()
    assert record["counts"]["complete"] == 8 and record["counts"]["lost"] <= 2
    if kept == "postgresql":
        assert not search.trials  # moved to the journal
    journal = optuna.load_study(study_name=search.job.study, storage=_storages.journal(search.job.folder))
    assert len([one for one in journal.trials if one.state.is_finished()]) == len(record["trials"])


def test_a_database_that_restarts_is_waited_for(job: Callable[..., Job]) -> None:
    with postgres_server() as server:
        storage = _storages.database(with_password(server))
        study = Study.create(job(trials=2), storage)
        study.plan()
        server.stop()
        back = threading.Timer(1.5, server.start)
        back.start()
        assert [one.state for one in study.trials] == [TrialState.WAITING] * 2
        back.join()


def test_a_connection_that_breaks_is_made_again(job: Callable[..., Job], tmp_path: pathlib.Path) -> None:
    one, host = job(trials=2), own_host()
    storage = _storages.journal(one.folder)
    Study.create(one, storage).plan()
    with _storages.served(storage, host) as address:
        study = Study(one, _storages.proxy(address))
        first = study.claim("me")
        assert first is not None

    def come_back() -> None:
        time.sleep(1.5)
        with _storages.served(storage, host):
            ended.wait(60)

    ended = threading.Event()
    server = threading.Thread(target=come_back)
    server.start()
    try:
        first.report(0.5, 1)
        study.end(first, 0.5, TrialState.COMPLETE)
        assert [one.state for one in study.trials] == [TrialState.COMPLETE, TrialState.WAITING]
    finally:
        ended.set()
        server.join()


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("postgresql://trainyard:wrong@127.0.0.1:{port}/trainyard", InputError, "password authentication failed"),
        ("postgresql://trainyard:hunter2@127.0.0.1:{port}/nowhere", InputError, 'database "nowhere" does not exist'),
        ("postgresql://trainyard:hunter2@127.0.0.1:1/trainyard", TryAgainError, "Connection refused"),
        ("oracle://trainyard:hunter2@127.0.0.1/trainyard", InputError, "No module named"),
        ("nonsense", InputError, "Could not parse.*Expected postgresql://user:password@host/database"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(
    postgres: Postgres,
    job: Callable[..., Job],
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    error: type[Exception],
    said: str,
) -> None:
    monkeypatch.setenv(env.SEARCH_STORAGE, url.format(port=postgres.port))
    with pytest.raises(error, match=said) as caught:
        _storages.kept(job())
    message = str(caught.value)
    assert "\n" not in message and PASSWORD not in message and "wrong" not in message
