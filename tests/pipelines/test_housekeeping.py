"""Retention over MLMD's real tables and the real model store: what goes, what stays, beside a run and through a kill."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from cli.main import main
from model_store import ModelStore, ReleaseDraft, StoreError
from pipelines.housekeeping import Limits, sweep
from pipelines.metadata import connecting as metadata
from pipelines.runners import run_lock
from spec import environment, home
from spec.errors import InputError
from tests.servers import Postgres

LIMITS = Limits(runs=2, releases=2, days=30)


@pytest.fixture(autouse=True)
def own_home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("TRAINYARD_HOME", str(tmp_path))
    monkeypatch.delenv("TRAINYARD_STORE", raising=False)
    return tmp_path


def run_id(days_ago: float) -> str:
    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days_ago)
    return at.strftime("%Y%m%dT%H%M%S-00aa")


class Yard:
    """One workload's runs, as TFX records them."""

    def __init__(self) -> None:
        self.root = home.pipeline_root("taxi")
        self.root.mkdir(parents=True)
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(self.root / "metadata.sqlite")
        config.sqlite.connection_mode = 3
        if os.environ.get(environment.METADATA):
            config = metadata.connection_config()
        self.store = metadata_store.MetadataStore(config)
        kinds = (
            mlmd.ContextType(name="pipeline_run"),
            mlmd.ExecutionType(name="Trainer"),
            mlmd.ArtifactType(name="Model"),
        )
        self.kinds = (
            self.store.put_context_type(kinds[0]),
            self.store.put_execution_type(kinds[1]),
            self.store.put_artifact_type(kinds[2]),
        )

    def run(self, name: str, cached: mlmd.Artifact | None = None) -> mlmd.Artifact:
        """A run that made an artifact, or took one from the cache."""
        execution = mlmd.Execution(type_id=self.kinds[1], last_known_state=mlmd.Execution.COMPLETE)
        artifact = cached or mlmd.Artifact(type_id=self.kinds[2], state=mlmd.Artifact.LIVE)
        if cached is None:
            artifact.uri = str(self.root / "Trainer" / "model" / name)
            folder = pathlib.Path(artifact.uri)
            folder.mkdir(parents=True)
            (folder / "weights").write_bytes(b"x" * 1000)
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        event.path.steps.add().key = "model"
        context = mlmd.Context(type_id=self.kinds[0], name=name)
        _, (artifact_id,), _ = self.store.put_execution(execution, [(artifact, event)], [context])
        artifact.id = artifact_id
        folder = home.runs_root("taxi") / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"same_as": None}))
        return artifact

    def runs(self) -> list[str]:
        return sorted(folder.name for folder in home.runs_root("taxi").iterdir())

    def known_runs(self) -> list[str]:
        return sorted(context.name for context in self.store.get_contexts_by_type("pipeline_run"))


def test_old_runs_go_with_their_artifacts_and_metadata() -> None:
    yard = Yard()
    names = [run_id(days) for days in (90, 80, 70, 2, 1)]
    artifacts = [yard.run(name) for name in names[:4]]
    yard.run(names[4], cached=artifacts[1])
    found = sweep(LIMITS)
    assert {item.name for item in found.items if item.kind == "run"} == {f"taxi {name}" for name in names[:3]}
    assert yard.runs() == sorted(names), "nothing is deleted unless asked to"
    sweep(LIMITS, delete=True)
    assert yard.runs() == yard.known_runs() == sorted(names[3:])
    assert [pathlib.Path(a.uri).exists() for a in artifacts] == [False, True, False, True], (
        "a younger run uses the second"
    )
    assert {a.id for a in yard.store.get_artifacts()} == {artifacts[1].id, artifacts[3].id}
    assert len(yard.store.get_executions()) == 3, "the one that made what stays, stays"
    assert sweep(LIMITS).items == []


def test_rows_of_a_shared_database_go_too_and_another_machine_s_stay(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.create_database("housekeeping")
    for name, value in postgres.environment.items():
        monkeypatch.setenv(name, value.replace("/trainyard", "/housekeeping"))
    yard = Yard()
    names = [run_id(days) for days in (90, 80, 70, 2, 1)]
    artifacts = [yard.run(name) for name in names[:4]]
    yard.run(names[4], cached=artifacts[1])
    elsewhere_run = run_id(100)
    elsewhere = yard.run(elsewhere_run)
    shutil.rmtree(home.runs_root("taxi") / elsewhere_run)
    sweep(LIMITS, delete=True)
    assert yard.runs() == sorted(names[3:])
    assert yard.known_runs() == sorted([elsewhere_run, *names[3:]])
    assert {a.id for a in yard.store.get_artifacts()} == {artifacts[1].id, artifacts[3].id, elsewhere.id}
    assert [pathlib.Path(a.uri).exists() for a in artifacts] == [False, True, False, True]
    assert sweep(LIMITS).items == []
    monkeypatch.setenv(environment.METADATA_PASSWORD, "wrong")
    with pytest.raises(InputError, match=r"TRAINYARD_METADATA: the metadata store cannot be reached: .*authentication"):
        sweep(LIMITS)


def test_a_run_that_another_stands_on_stays() -> None:
    yard = Yard()
    names = [run_id(days) for days in (90, 80, 2, 1)]
    for name in names:
        yard.run(name)
    (home.runs_root("taxi") / names[3] / "run.json").write_text(json.dumps({"same_as": names[0]}))
    assert [item.name for item in sweep(LIMITS).items if item.kind == "run"] == [f"taxi {names[1]}"]


def publish(tmp_path: pathlib.Path, run: str) -> int:
    (tmp_path / "export").mkdir(exist_ok=True)
    (tmp_path / "export" / "saved_model.pb").write_bytes(run.encode())
    draft = ReleaseDraft(publication_key=run, task="binary", run_id=run)
    return ModelStore(home.store_uri()).publish("taxi", tmp_path / "export", draft).version


def test_releases_that_somebody_needs_stay(tmp_path: pathlib.Path) -> None:
    yard, store = Yard(), ModelStore(home.store_uri())
    names = [run_id(days) for days in range(90, 83, -1)]
    for name in names:
        yard.run(name)
        publish(tmp_path, name)
    for version in (2, 4):
        store.promote("taxi", version, reason="test", actor="test")
    store.set_label("taxi", "canary", 5, reason="test", actor="test")
    assert sweep(LIMITS, delete=True).items == [], "the releases are young, and the runs are theirs"
    aged = Limits(runs=1, releases=2, days=0)
    sweep(aged, delete=True)
    # 2 is where a rollback goes, 4 is stable, 5 canary, 6 and 7 the newest.
    assert store.versions("taxi") == [2, 4, 5, 6, 7]
    assert yard.runs() == [names[v - 1] for v in (2, 4, 5, 6, 7)], "what a release was made by stays with it"
    assert [entry.version for entry in store.history("taxi") if entry.action == "delete"] == [1, 3]
    assert publish(tmp_path, "next") == 8
    for version, why in ((4, "is labelled stable"), (2, "is the release to roll back to")):
        with pytest.raises(StoreError, match=why):
            store.delete("taxi", version, reason="test", actor="test")
    assert store.rollback("taxi", reason="test", actor="test").version == 2


def test_a_workload_that_is_being_run_is_passed_over() -> None:
    yard = Yard()
    names = [run_id(days) for days in (90, 80, 70)]
    for name in names:
        yard.run(name)
    with run_lock.exclusive(home.pipeline_root("taxi") / ".lock", "a run", 0, lambda _: None):
        assert sweep(LIMITS, delete=True).busy == ["taxi"]
    assert yard.runs() == sorted(names)


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.1])
def test_killed_at_any_point_the_next_one_ends_it(after: float) -> None:
    yard = Yard()
    names = [run_id(days) for days in range(90, 50, -1)]
    for name in names:
        yard.run(name)
    script = (
        "import sys; from pipelines.housekeeping import Limits, sweep; limits = Limits(2, 2, 30); "
        "print('go', flush=True); sweep(limits, delete=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    assert process.stdout is not None and process.stdout.readline()
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    live = [a for a in yard.store.get_artifacts() if a.state == mlmd.Artifact.LIVE]
    assert all(pathlib.Path(a.uri).is_dir() for a in live), "the cache is never promised what is not there"
    sweep(LIMITS, delete=True)
    assert yard.runs() == yard.known_runs() == sorted(names[-2:])
    assert len(list((yard.root / "Trainer" / "model").iterdir())) == 2


def test_tables_that_are_not_known_are_left_alone() -> None:
    import sqlite3

    yard = Yard()
    artifact = yard.run(run_id(90))
    for days in (2, 1):
        yard.run(run_id(days))
    with sqlite3.connect(yard.root / "metadata.sqlite") as db:
        db.execute("UPDATE MLMDEnv SET schema_version = 11")
    sweep(LIMITS, delete=True)
    assert pathlib.Path(artifact.uri).is_dir() and len(yard.runs()) == 2


def test_the_command(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    yard = Yard()
    for days in (90, 80, 70):
        yard.run(run_id(days))
    assert main(["housekeeping", "--keep-runs", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dry_run"], found["by_kind"]) == (True, {"run": 2, "artifact": 2})
    assert main(["housekeeping", "--keep-runs", "1", "--yes"]) == 0
    assert "deleted" in capsys.readouterr().out and len(yard.runs()) == 1
    assert main(["housekeeping"]) == 0 and capsys.readouterr().out == "nothing is old\n"
    with pytest.raises(InputError, match="there are no runs and no releases of it"):
        sweep(LIMITS, ["taxo"])


def test_a_damaged_model_keeps_all_of_its_own_and_hides_no_other(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yard, store = Yard(), ModelStore(home.store_uri())
    names = [run_id(days) for days in (90, 80, 70, 2)]
    for name in names:
        yard.run(name)
    export = tmp_path / "export"
    export.mkdir()
    (export / "saved_model.pb").write_text("a graph")
    for model in ("taxi", "digits"):
        store.publish(model, export, ReleaseDraft(publication_key=model, task="binary"))
    labels = pathlib.Path(store.uri, "digits", "labels.json")
    labels.write_text("")
    found = sweep(LIMITS)
    assert {item.name for item in found.items if item.kind == "run"} == {f"taxi {name}" for name in names[:2]}
    assert [said.partition(":")[0] for said in found.damaged] == ["digits"]
    assert main(["housekeeping", "--yes"]) == 0
    assert "passed over: digits: " in capsys.readouterr().out
    assert store.versions("digits") == [1]
    for command, place in ((["list"], "err"), (["release", "list"], "out")):
        assert main(command) == 0
        said = capsys.readouterr()
        assert f"{labels} is damaged (it is empty). Write it anew as" in getattr(said, place)
        assert "taxi" in said.out
