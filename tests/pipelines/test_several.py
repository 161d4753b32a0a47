"""`trainyard run all` and `--quick`: what is run in which order, what is skipped, what is refused, and that nothing is left."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from cli import main as cli
from pipelines import datasets, several
from spec.errors import InputError
from spec.workload import load_workload
from tests.yard import WORKLOAD, make_yard, trips

_QUICK = WORKLOAD.replace("  label:", "  dataset: made_up\n  label:")

_JUDGED = """
name: {name}
task: generation
data: {{label: {{column: picture}}}}
task_options: {{shape: [2, 2, 1]}}
evaluation: {{judge: {judge}, baseline: none}}
"""


def _write_trips(span: int, folder: pathlib.Path) -> None:
    (folder / "trips.csv").write_text(trips(3_000))


def _absent(span: int, folder: pathlib.Path) -> None:
    raise InputError("made_up.zip: cannot be downloaded. Put it there.")


def _made_up(monkeypatch: pytest.MonkeyPatch, write: object) -> None:
    made = datasets.Dataset("made_up", "trips", "here", "none", range(1, 2), write)  # type: ignore[arg-type]
    monkeypatch.setattr(datasets, "dataset", lambda name: made)


@pytest.fixture
def lines(places: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Runs a command over the yard with a made-up data set; returns the exit code, and the lines of both streams."""
    make_yard(places).write(workload=_QUICK)
    monkeypatch.setenv("TMPDIR", str(places))
    monkeypatch.setattr("tempfile.tempdir", None)
    _made_up(monkeypatch, _write_trips)

    def run(*arguments: str) -> tuple[int, list[str], list[str]]:
        code = cli.main(["run", *arguments])
        said = capfd.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["all", "--span", "2"], "--span: is for a run of one workload"),
        (["tips", "--quick", "--until", "Trainer"], "--until: is for a run of one workload"),
        (["tips", "--keep"], "--keep: is for --quick"),
        (["all", "--keep"], "--keep: is for --quick"),
    ],
)
def test_wrong_options_are_one_line(lines, arguments: list[str], said: str) -> None:
    code, out, err = lines(*arguments)
    assert (code, out) == (2, [])
    assert len(err) == 1 and said in err[0]


def test_what_cannot_be_had_is_skipped_and_said(lines, places: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _made_up(monkeypatch, _absent)
    code, out, _ = lines("all", "--quick")
    assert code == 0
    assert out[0].startswith("  - tips") and "skipped: made_up.zip: cannot be downloaded" in out[0]
    assert "0 ran, 0 failed, 1 skipped" in out[1]
    assert out[-1] == "skipped   tips: made_up.zip: cannot be downloaded. Put it there."
    assert not list(places.glob("trainyard-quick-*"))


def test_a_workload_that_is_broken_or_not_there_fails(lines, places: pathlib.Path) -> None:
    (places / "workloads" / "tips" / "workload.yaml").write_text("name: tips\n")
    code, out, err = lines("all", "--quick")
    assert code == 2 and "failed: " in out[0] and "field" in out[0]
    (kept,) = places.glob("trainyard-quick-*")
    assert err == [f"kept      {kept}"]
    code, out, _ = lines("nosuch", "--quick")
    assert code == 2 and "there is no workload 'nosuch'" in out[0]


def test_what_judges_comes_first(places: pathlib.Path) -> None:
    yard = make_yard(places)
    for name, judge in (("a_judged", "tips@stable"), ("z_judged", "tips@3")):
        (yard.folder.parent / name).mkdir()
        (yard.folder.parent / name / "workload.yaml").write_text(_JUDGED.format(name=name, judge=judge))
    assert several.in_order() == ["tips", "a_judged", "z_judged"]
    assert several.in_order(["z_judged"]) == ["tips", "z_judged"]
    judged = load_workload(yard.folder.parent / "z_judged")
    assert "evaluation.judge=tips@stable" in several.quick_parameters(judged)  # the one that was made a moment ago


def test_bounds_and_expectations_hold_nothing_back_in_a_quick_run(places: pathlib.Path) -> None:
    from pipelines import parameters

    workload = load_workload(make_yard(places).folder)
    quick = parameters.apply(workload, several.quick_parameters(workload), places / "workload.yaml")
    (bound,) = quick.evaluation.thresholds
    assert bound.min == 0.6 and bound.least == 10**9 and quick.evaluation.not_judged == "warn"
    assert quick.training.epochs == 2 and quick.quality.fail_on == "never"


def test_a_home_of_its_own_is_left_as_it_was_found(places: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_STORE", "s3://releases")
    before = dict(os.environ)
    with several.own_home() as folder:
        assert os.environ["TRAINYARD_HOME"] == str(folder) and "TRAINYARD_STORE" not in os.environ
    assert dict(os.environ) == before and folder.is_dir()


@pytest.mark.slow
def test_a_quick_run_makes_a_release_and_leaves_nothing(lines, places: pathlib.Path) -> None:
    code, out, _ = lines("all", "--quick", "--json")
    assert code == 0
    # Under pytest, what Keras prints does not go by the file descriptor that the log is behind.
    (one,) = json.loads("\n".join(out[out.index("{") :]))["workloads"]
    assert one["workload"] == "tips" and one["status"] == "succeeded" and one["release"]["version"] == 1
    assert 0 < one["value"] <= 1 and one["error"] is None
    assert not list(places.glob("trainyard-quick-*")) and not (places / "home").exists()


@pytest.mark.slow
def test_every_workload_works_on_a_sample(capfd: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["run", "all", "--quick"])
    assert code == 0, capfd.readouterr().out
