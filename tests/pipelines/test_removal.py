"""`trainyard remove`: what it finds, what it leaves, and when it refuses."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from cli import main as cli
from model_store import ModelStore, ReleaseDraft
from pipelines.removal import SHIPPED
from pipelines.runners import run_lock
from quality.history import History, Outcome, Release, Validation
from spec import home


@pytest.fixture
def places(places: pathlib.Path) -> pathlib.Path:
    """Two workloads, `trial` and `keep`, with all that a workload may have."""
    (places / "home").mkdir()
    store = ModelStore(home.store_uri())
    for name in ("trial", "keep"):
        for folder in (
            home.workloads_root() / name,
            home.schemas_root() / name,
            home.data_root() / name / "span-1",
            home.runs_root(name) / "20261121T100000-abcd",
            home.pipeline_root(name) / "Trainer",
        ):
            folder.mkdir(parents=True)
            (folder / "file").write_text("x" * 1500)
        (home.workloads_root() / name / "workload.yaml").write_text("")
        export = places / f"export-{name}"
        export.mkdir()
        (export / "saved_model.pb").write_text(name)
        store.publish(name, export, ReleaseDraft(publication_key=name, task="binary", metrics={}))
        with History.open() as history:
            at = "2026-11-21T06:00:00+00:00"
            kept = Validation(f"run of {name}", name, 1, at, Outcome.PASSED, "It can be trained on.")
            history.record(kept, Release(name, 1, 1, at, kept.id))
    return places


def everything(root: pathlib.Path, name: str) -> list[pathlib.Path]:
    return [path for path in root.rglob("*") if name in path.relative_to(root).parts]


def test_all_of_it_goes_and_its_neighbour_stays(places: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    ModelStore(home.store_uri()).set_label("trial", "stable", 1, reason="r", actor="a")
    neighbour = everything(places, "keep")
    assert cli.main(["remove", "trial", "--yes"]) == 0
    out = capsys.readouterr().out
    assert f"data        {home.data_root() / 'trial'} (2 kB)" in out
    assert "releases    1 in" in out and "history     1 validations" in out and "metadata    of 1 runs" in out
    assert "release 1 is stable: whoever serves it loses it" in out
    assert everything(places, "trial") == [] and everything(places, "keep") == neighbour
    assert ModelStore(home.store_uri()).models() == ["keep"]
    with History.open() as history:
        assert history.workloads() == ["keep"]
    assert cli.main(["remove", "trial", "--yes"]) == 2
    assert "there is no workload 'trial' on this machine. Known: keep" in capsys.readouterr().err


def test_nothing_goes_without_a_yes(
    places: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(places, "trial")
    assert cli.main(["remove", "trial"]) == 2
    assert "Add --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert cli.main(["remove", "trial"]) == 2 and everything(places, "trial") == before
    monkeypatch.setattr("builtins.input", lambda question: "trial")
    assert cli.main(["remove", "trial"]) == 0 and everything(places, "trial") == []


def test_a_run_that_is_under_way_is_left_alone(places: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(places, "trial")
    with run_lock.exclusive(home.pipeline_root("trial") / ".lock", "run 1 of trial", 0, print):
        assert cli.main(["remove", "trial", "--yes"]) == 1
    assert "run 1 of trial" in (err := capsys.readouterr().err) and "Nothing was deleted" in err
    assert set(before) <= set(everything(places, "trial"))


@pytest.mark.parametrize("name", ["..", "", "trial/../keep", "../home"])
def test_a_name_that_leads_elsewhere_is_none(places: pathlib.Path, name: str) -> None:
    before = everything(places, "keep")
    assert cli.main(["remove", name, "--yes"]) == 2 and everything(places, "keep") == before


def test_what_comes_with_trainyard_stays(
    places: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Yours, by the name of ours: our contracts and tests are not yours.
    monkeypatch.delenv("TRAINYARD_SCHEMAS")
    assert cli.main(["remove", "taxi", "--yes"]) == 2, "its runs and releases are ours"
    (home.workloads_root() / "taxi").mkdir()
    assert cli.main(["remove", "taxi", "--yes"]) == 0
    assert (home.ROOT / "schemas" / "taxi").is_dir() and (home.ROOT / "tests" / "workloads" / "test_taxi.py").is_file()
    monkeypatch.delenv("TRAINYARD_WORKLOADS")
    assert cli.main(["remove", "taxi", "--yes"]) == 2
    assert "comes with Trainyard and is not removed" in capsys.readouterr().err
    listed = subprocess.run(
        ["git", "-C", str(home.ROOT), "ls-files", "pipelines/workloads/*/workload.yaml"], capture_output=True, text=True
    )
    if listed.returncode == 0:
        assert {pathlib.Path(line).parent.name for line in listed.stdout.splitlines()} == SHIPPED
