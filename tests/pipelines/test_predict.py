"""`trainyard predict`, with real TFX and a real store: delivery, refusals, the cache, exit codes."""

from __future__ import annotations

import json
import pathlib

import pyarrow.parquet as pq
import pytest

from cli import main as cli
from pipelines.predict import PredictRequest, predict
from pipelines.run import Display
from pipelines.runners.results import RunResult
from spec import home
from tests.pipelines import tips_model


@pytest.fixture(scope="module")
def released(yard):
    """The yard, with release 1 stable and release 2 canary."""
    tips_model.publish()
    return yard


def once(yard, out: pathlib.Path, data: str | None = None, **options) -> RunResult:
    data = data or str(yard.root / "data" / "tips" / "span-1")
    return predict(PredictRequest("tips", data, out, **{"wait_s": 5, **options}), Display())


def test_predictions_of_the_stable_release(released, tmp_path) -> None:
    result = once(released, tmp_path / "deep" / "out")
    assert (result.status, result.exit_code) == ("succeeded", 0), result.error
    assert result.predictions == {
        "version": 1,
        "rows": 600,
        "predicted": 600,
        "failed": 0,
        "folder": str(tmp_path / "deep" / "out"),
    }
    names = sorted(path.name for path in (tmp_path / "deep" / "out").iterdir())
    assert names == ["failed.parquet", "index.json", "predictions-00000-of-00001.parquet"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    assert json.loads((tmp_path / "deep" / "out" / "index.json").read_text())["columns_not_used"] == ["tipped"]


def test_the_same_again_comes_from_the_cache_and_another_release_does_not(released, tmp_path) -> None:
    result = once(released, tmp_path / "out")
    assert all(c.cached for c in result.components) and (tmp_path / "out" / "index.json").is_file()
    before = pq.read_table(tmp_path / "out" / "predictions-00000-of-00001.parquet")
    result = once(released, tmp_path / "out", release="canary", overwrite=True)
    assert not any(c.cached for c in result.components) and result.predictions["version"] == 2
    after = pq.read_table(tmp_path / "out" / "predictions-00000-of-00001.parquet")
    assert set(after["model_version"].to_pylist()) == {2}
    assert before["probability"].to_pylist() != after["probability"].to_pylist()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_bad_rows_are_delivered_with_reasons_and_the_run_succeeds(released, tmp_path) -> None:
    (tmp_path / "new.csv").write_text("id,fare,miles,kind\na,12,,card\nb,dear,1,card\nc,13\nd,14,1,\ne,15,2,cash\n")
    result = once(released, tmp_path / "out", str(tmp_path / "new.csv"), keys=("id",))
    assert result.exit_code == 0 and (result.predictions["predicted"], result.predictions["failed"]) == (2, 3)
    failed = pq.read_table(tmp_path / "out" / "failed.parquet").sort_by("row")
    assert failed["row"].to_pylist() == [2, 3, 4] and failed["column"].to_pylist() == ["fare", None, "kind"]
    (shard,) = (tmp_path / "out").glob("predictions-*")
    assert pq.read_table(shard)["id"].to_pylist() == ["a", "e"]


def test_what_cannot_be_read_is_one_line_and_leaves_nothing(released, tmp_path) -> None:
    (tmp_path / "new.csv").write_text("fare,miles\n1,2\n")
    result = once(released, tmp_path / "out", str(tmp_path / "new.csv"))
    assert result.exit_code == 2 and "'kind' is missing" in result.error and "\n" not in result.error
    result = once(released, tmp_path / "out", str(tmp_path / "nosuch.csv"))
    assert result.exit_code == 2 and "no file found" in result.error
    assert not (tmp_path / "out").exists()


def test_a_damaged_release_is_not_used(released, tmp_path) -> None:
    path = pathlib.Path(home.store_uri()) / "tips" / "2" / "assets.extra" / "trainyard.json"
    intact = path.read_text()
    try:
        path.write_text(intact.replace("tipped", "tipqed"))
        # A fresh data file and a fresh metadata store would not help either: the importer verifies what it copies.
        (tmp_path / "new.csv").write_text("fare,miles,kind\n1,2,card\n")
        for folder in (home.pipeline_root("tips.predict") / "ReleaseImporter" / "model").iterdir():
            for file in folder.rglob("saved_model.pb"):
                file.unlink()
        result = once(released, tmp_path / "out", str(tmp_path / "new.csv"), release="2")
        assert result.exit_code == 2 and "was changed after publishing" in result.error
    finally:
        path.write_text(intact)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--release", "9"], "9"),
        (["--out", "EXISTING"], "exists already"),
        (["--out", "FOREIGN", "--overwrite"], "is no folder of predictions"),
        (["--out", "s3://bucket/x"], "must be a folder on this machine"),
    ],
)
def test_refused_before_anything_starts(released, tmp_path, capsys, arguments: list[str], part: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("x")
    places = {"EXISTING": str(tmp_path / "there"), "FOREIGN": str(tmp_path / "there")}
    arguments = ["--out", str(tmp_path / "out"), *[places.get(one, one) for one in arguments]]
    runs = home.runs_root("tips.predict")
    before = sorted(runs.iterdir()) if runs.is_dir() else []
    data = str(released.root / "data" / "tips" / "span-1")
    assert cli.main(["predict", "tips", "--data", data, *arguments]) == 2
    error = capsys.readouterr().err
    assert part in error and error.count("\n") == 1
    assert (sorted(runs.iterdir()) if runs.is_dir() else []) == before
    assert (tmp_path / "there" / "file").read_text() == "x"
