"""`trainyard run`, with real TFX, on a small workload: what a run gives, what it keeps, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from cli.display import summary_lines
from components import prepared
from model_store import ModelStore
from pipelines.run import Display, RunRequest, run
from pipelines.runners import run_lock
from pipelines.runners.results import RunResult
from quality.history import History
from spec import home
from spec.workload import WorkloadError
from tests.collector import collector


def once(*parameters: str, span: int | None = None, wait_s: float = 5, until: tuple[str, ...] = ()) -> RunResult:
    return run(RunRequest("tips", span, parameters, wait_s, (), until), Display())


def refused(result: RunResult, *parts: str) -> None:
    assert (result.status, result.exit_code) == ("failed", 2), result.error
    assert result.error and "\n" not in result.error
    for part in parts:
        assert part in result.error
    assert result.release is None
    assert pathlib.Path(result.reports["run"]).is_file()


def released() -> list[int]:
    store = ModelStore(home.store_uri())
    return store.versions("tips") if "tips" in store.models() else []


def test_a_run_ends_with_a_release_and_a_report(yard) -> None:
    result = once()
    assert (result.error, result.status, result.exit_code) == (None, "succeeded", 0)
    assert [c.status for c in result.components] == ["succeeded"] * 14
    assert not any(c.cached for c in result.components)
    assert result.component("ColumnarExampleGen").rows_out == 600
    assert result.component("Transform").rows_out == 600
    assert result.blessed and result.metrics["auc"] > 0.7
    assert result.release["version"] == 1 and (pathlib.Path(result.release["uri"]) / "saved_model.pb").is_file()
    assert "tips" in pathlib.Path(result.reports["run"]).read_text()
    assert ModelStore(home.store_uri()).verify("tips", 1) == ()
    kept = json.loads((home.runs_root("tips") / result.run_id / "run.json").read_text())
    assert kept["release"]["version"] == 1


def test_a_run_leaves_one_validation_with_its_page_and_the_same_again_leaves_none(yard) -> None:
    result = once()  # the run before, or its memo
    with History.open() as history:
        (one,) = history.validations("tips")
        whole = history.load(one.id)
        assert [release.version for release in history.releases("tips")] == [1]
    assert whole is not None and (whole.span, whole.rows) == (1, 600)
    assert {check.gate for check in whole.checks} == {"ExampleValidator", "DataQuality", "DriftDetector"}
    assert {column.name for column in whole.columns} == {"fare", "miles", "kind", "tipped"}
    page = home.home() / "reports" / "tips" / "validations" / one.id / "index.html"
    assert whole.headline in page.read_text()
    assert result.same_as == one.id


def test_an_unchanged_run_is_that_run(yard) -> None:
    result = once()
    assert result.same_as and all(c.cached for c in result.components)
    assert released() == [1]


def test_a_part_of_a_run_ends_with_its_gates_and_the_rest_goes_on_from_there(yard) -> None:
    part = once("training.seed=3", until=("ExampleValidator", "DataQuality"))
    assert (part.error, part.exit_code, part.release) == (None, 0, None)
    assert {c.id for c in part.components} == {
        "SchemaImporter",
        "ColumnarExampleGen",
        "StatisticsGen",
        "ExampleValidator",
        "DataQuality",
    }
    assert [(gate["gate"], gate["passes"]) for gate in part.gates] == [
        ("ExampleValidator", True),
        ("DataQuality", True),
    ]
    assert pathlib.Path(part.gates[1]["report"]).is_file() and "run" not in part.reports
    again = once("training.seed=3", until=("ExampleValidator", "DataQuality"))
    assert again.same_as == part.run_id and again.gates == part.gates


def test_a_node_that_is_not_there_is_refused(yard) -> None:
    result = run(RunRequest("tips", until=("Evaluater",), parameters=("training.seed=4",)), Display())
    assert result.exit_code == 2 and "--until Evaluater: there is no such node. Known: " in (result.error or "")


def test_a_touched_file_is_unchanged(yard) -> None:
    os.utime(yard.root / "data" / "tips" / "span-1" / "trips.csv")
    assert once().same_as


def test_a_folder_that_nobody_reads_is_named(yard) -> None:
    said: list[str] = []

    class Listening(Display):
        def said(self, message: str) -> None:
            said.append(message)

    folder = yard.root / "data" / "tips" / "span-1" / "more"
    folder.mkdir()
    try:
        result = run(RunRequest("tips"), Listening())
    finally:
        folder.rmdir()
    assert result.same_as and [line for line in said if "not read" in line and line.endswith("the folder(s) more")]


def test_a_newest_span_that_is_being_written_is_passed_over(yard) -> None:
    half = yard.root / "data" / "tips" / "span-2" / "trips.csv.part"
    half.parent.mkdir()
    half.write_text("fare,mi")
    try:
        result = once()
    finally:
        shutil.rmtree(half.parent)
    assert (result.error, result.span) == (None, 1) and result.same_as


def test_a_parameter_redoes_only_what_depends_on_it(yard, monkeypatch: pytest.MonkeyPatch) -> None:
    started, prepare = [], prepared.prepare
    monkeypatch.setattr(prepared, "prepare", lambda module: (started.append(module), prepare(module)))
    result = once("training.epochs=4")
    assert started == ["components.infra_validator.worker"], "nobody asks the gates on data"
    fresh = {c.id for c in result.components if not c.cached}
    assert {"Trainer", "Evaluator"} <= fresh
    assert not fresh & {"ColumnarExampleGen", "StatisticsGen", "ExampleValidator", "DataQuality", "Transform"}
    assert result.release["version"] == 2


@pytest.mark.slow
def test_a_threshold_that_eval_chose_goes_with_the_release(yard) -> None:
    """Weighed classes and a chosen threshold, from workload.yaml to the answers of the released model and the metrics."""
    import numpy as np

    from components.columnar import read_split
    from components.served_model import ServedModel, load_answerer
    from components.tasks import class_indices

    aim = "training.decision_threshold={recall: 0.9}"
    result = once("training.class_weights=balanced", aim, "evaluation.thresholds=[{metric: auc, min: 0.6}]")
    assert (result.error, result.status) == (None, "succeeded") and result.release is not None, result.reasons
    saved_model = pathlib.Path(result.release["uri"])
    model = ServedModel.read(saved_model)
    (examples,) = list((home.pipeline_root("tips") / "ColumnarExampleGen" / "examples").iterdir())[-1:]
    (batch,) = read_split(examples, "test").combine_chunks().to_batches()
    answers = load_answerer(saved_model, model)(model.inputs(batch))
    called = answers["probability"] > np.float32(model.threshold)
    assert model.threshold != 0.5 and (answers["label"] == np.array([b"0", b"1"])[called.astype(int)]).all()
    labels = class_indices(batch.column("tipped"), model.classes)
    assert result.metrics["recall"] == pytest.approx((called & (labels == 1)).sum() / labels.sum())
    (kept,) = sorted((home.pipeline_root("tips") / "Trainer" / "model_run").iterdir(), key=lambda p: int(p.name))[-1:]
    history = json.loads((kept / "history.json").read_text())
    assert history["decision"]["threshold"] == model.threshold and history["decision"]["recall"] >= 0.9
    assert history["class_weights"]["1"] > 1 > history["class_weights"]["0"]
    assert "chosen on eval" in pathlib.Path(result.reports["run"]).read_text()


@pytest.mark.slow
def test_a_release_explains_its_answers_where_it_is_to(yard) -> None:
    import numpy as np

    from components.columnar import read_split
    from components.served_model import ServedModel, load_answerer, load_explainer
    from components.served_model.explained import attributions, residual

    result = once("export.explain=true", "evaluation.thresholds=[{metric: auc, min: 0.6}]")
    assert (result.error, result.status) == (None, "succeeded") and result.release is not None, result.reasons
    saved_model = pathlib.Path(result.release["uri"])
    model = ServedModel.read(saved_model)
    (examples,) = list((home.pipeline_root("tips") / "ColumnarExampleGen" / "examples").iterdir())[-1:]
    (batch,) = read_split(examples, "test").combine_chunks().to_batches()
    found = load_explainer(saved_model, model)(model.inputs(batch))
    assert set(attributions(found)) == {model.input_name(column) for column in model.features}
    assert residual(found) < 0.05 and np.abs(found["explained"] - found["baseline_score"]).max() > 0.1
    sure = load_answerer(saved_model, model)(model.inputs(batch))["confidence"].astype(np.float64)
    np.testing.assert_allclose(found["explained"], np.log(sure / (1 - sure)), atol=0.01)
    assert "What moved the answers" in pathlib.Path(result.reports["run"]).read_text()


def test_a_model_that_is_not_good_enough_is_not_released(yard) -> None:
    before = released()
    result = once("evaluation.thresholds=[{metric: auc, min: 0.99999}]")
    assert (result.status, result.exit_code, result.blessed, result.release) == ("succeeded", 0, False, None)
    assert any("auc" in reason and "0.99999" in reason for reason in result.reasons)
    assert released() == before


def test_the_stable_release_is_the_champion(yard) -> None:
    ModelStore(home.store_uri()).promote("tips", 1, reason="test", actor="test")
    result = once("evaluation.champion.max_loss=1")
    assert result.champion["version"] == 1
    assert not result.component("ChampionResolver").cached
    assert result.component("Trainer").cached


def test_a_second_run_of_the_workload_waits_or_says_so(yard) -> None:
    with run_lock.exclusive(home.pipeline_root("tips") / ".lock", "run elsewhere of tips", 0, print):
        result = once(wait_s=0.1)
    assert result.exit_code == 1 and "run elsewhere of tips" in result.error


@pytest.mark.parametrize(
    ("parameter", "part"),
    [
        ("training.epochs=0", "training.epochs"),
        ("training.epoch=3", "there is no such field"),
        ("evaluation.thresholds=[{metric: auc, min: 7}]", "between 0 and 1"),
        ("nonsense", "key=value"),
    ],
)
def test_a_bad_parameter_is_refused_before_anything_starts(yard, parameter: str, part: str) -> None:
    with pytest.raises(WorkloadError, match=part):
        once(parameter)


def test_an_unknown_workload_names_the_known_ones(yard) -> None:
    with pytest.raises(WorkloadError, match="Known: tips"):
        run(RunRequest("nosuch"), Display())


def test_an_unknown_span_names_the_known_ones(yard) -> None:
    result = once(span=9)
    assert result.exit_code == 2 and "span 9 is not there" in result.error and "1" in result.error


def test_a_gate_that_refuses_does_not_keep_the_others_from_judging(restored) -> None:
    """One run tells all that is wrong with its data; nothing is trained on it."""
    path = restored.root / "data" / "tips" / "span-1" / "trips.csv"
    path.write_text(path.read_text() + "100000,3,card,7\n")
    result = once()
    refused(
        result, "DataQuality: 1 of 1 checks failed: fare", "100000", ". Also: ExampleValidator: ", "tipped", "has 7"
    )
    assert "ExampleValidator" in pathlib.Path(result.reports["run"]).read_text()
    states = {component.id: component.status for component in result.components}
    assert {name for name, state in states.items() if state == "failed"} == {"ExampleValidator", "DataQuality"}
    assert states["DriftDetector"] == "succeeded" and states["Transform"] == states["Trainer"] == "waiting"
    with History.open() as history:
        newest = history.newest("tips")
    assert newest is not None and newest.id == result.run_id and newest.outcome == "failed"
    assert {check.gate for check in newest.checks if check.judged and not check.passes} == {
        "ExampleValidator",
        "DataQuality",
    }
    assert newest.columns and newest.headline.startswith("Do not train on it")


def test_a_warning_marks_the_run_and_lets_it_pass(restored) -> None:
    restored.write(
        suite=restored.suite.replace('"max_value": 500', '"max_value": 20').replace('"critical"', '"warning"')
    )
    result = once()
    assert result.status == "succeeded" and result.release
    assert len(result.warnings) == 1 and "fare" in result.warnings[0]
    assert any(line.startswith("warning   fare") for line in summary_lines(result))


def test_a_row_that_does_not_parse_is_named(restored) -> None:
    path = restored.root / "data" / "tips" / "span-1" / "trips.csv"
    path.write_text(path.read_text() + "cheap,3,card,1\n")
    refused(once(), "row 601", "'fare'", "cheap")


def test_a_row_in_quarantine_is_counted_and_shown(restored) -> None:
    path = restored.root / "data" / "tips" / "span-1" / "trips.csv"
    path.write_text(path.read_text() + "cheap,3,card,1\n10,3\n")
    result = once("data.on_bad_rows=quarantine", until=("ColumnarExampleGen",))
    assert result.status == "succeeded" and result.quarantine["rows"] == 2, result.error
    assert pathlib.Path(result.quarantine["file"]).is_file()
    component = result.component("ColumnarExampleGen")
    assert (component.rows_in, component.rows_out) == (602, 600)
    again = once("data.on_bad_rows=quarantine", until=("ColumnarExampleGen",))
    assert again.same_as and again.quarantine == result.quarantine


def test_a_preprocessing_fn_that_raises_is_named_by_line(restored) -> None:
    restored.write(features="def preprocessing_fn(inputs):\n    return {'x': inputs['nosuch']}\n")
    refused(once(), "features.py, line 2", "ColumnNotRead: column 'nosuch' is not read")


def test_a_model_that_cannot_be_built_is_named_by_line(restored) -> None:
    restored.write(model="def build_model(schema, hyperparameters):\n    return 1 / 0\n")
    refused(once(), "model.py, line 2", "ZeroDivisionError")


def test_a_run_and_its_nodes_are_spans_of_the_trace_that_it_is_given(restored) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    command = [sys.executable, "-m", "cli.main", "run", "tips", "--json", "--until", "ColumnarExampleGen"]
    command += ["--param", "data.on_bad_rows=quarantine"]
    path = restored.root / "data" / "tips" / "span-1" / "trips.csv"
    path.write_text(path.read_text() + "cheap,3,card,1\n")
    with collector() as double:
        given = {"TRACEPARENT": f"00-{trace}-b7ad6b7169203331-01", "OTEL_EXPORTER_OTLP_ENDPOINT": double.url}
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | given)
    assert done.returncode == 0, done.stderr
    (whole,), (node,) = double.spans("run tips"), double.spans("ColumnarExampleGen")
    assert (whole.service, whole.trace_id, whole.parent_id) == ("trainyard-pipeline", trace, "b7ad6b7169203331")
    assert whole.attributes["trainyard.status"] == "succeeded" and not whole.failed
    assert (node.trace_id, node.parent_id) == (trace, whole.span_id)
    assert node.attributes["trainyard.run_id"] == whole.attributes["trainyard.run_id"]


def test_a_killed_run_is_taken_up_where_it_was(yard) -> None:
    """kill -9 right after Transform; the next run redoes only what was unfinished. Its JSON is one object and nothing else."""
    yard.span(2, (yard.root / "data" / "tips" / "span-1" / "trips.csv").read_text().replace("card", "Card"))
    before = released()
    command = [sys.executable, "-m", "cli.main", "run", "tips", "--span", "2", "--json", "--until", "Trainer"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr:
            if "✓ Transform" in line:  # before, a slow one says how far it is
                process.send_signal(signal.SIGKILL)
                break
    assert process.wait() == -signal.SIGKILL and released() == before
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert {
        "workload",
        "run_id",
        "status",
        "seconds",
        "components",
        "metrics",
        "blessed",
        "reasons",
        "release",
        "reports",
    } <= set(printed)
    assert set(printed["components"][0]) == {"id", "status", "seconds", "cached", "rows_in", "rows_out"}
    assert printed["status"] == "succeeded" and not printed["same_as"]
    cached = {component["id"]: component["cached"] for component in printed["components"]}
    assert cached["ColumnarExampleGen"] and cached["StatisticsGen"] and cached["Transform"] and not cached["Trainer"]


def test_a_damaged_metadata_store_is_named_and_its_folder_can_be_deleted(restored) -> None:
    root = home.pipeline_root("tips")
    stale = root / "ColumnarExampleGen" / "examples" / "9999" / "Split-train" / "of-another-time.parquet"
    kept = (root / "metadata.sqlite").read_bytes()
    before = released()
    (root / "metadata.sqlite").write_bytes(b"not a database" * 1000)
    result = once("training.epochs=2", until=("ColumnarExampleGen",))
    assert result.exit_code == 2 and "metadata.sqlite" in result.error and "Delete the folder" in result.error
    assert released() == before
    (root / "metadata.sqlite").write_bytes(kept)
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert once("training.epochs=2", until=("ColumnarExampleGen",)).status == "succeeded"
    assert not stale.exists()  # an execution of that number would have found it among its own outputs


@pytest.mark.parametrize("damage", ["removed", pytest.param("emptied", marks=pytest.mark.slow)])
def test_an_artifact_whose_bytes_are_gone_is_made_again(yard, damage: str) -> None:
    for folder in (home.pipeline_root("tips") / "Transform" / "transformed_examples").iterdir():
        if damage == "removed":
            shutil.rmtree(folder)
        else:
            next(folder.rglob("*.parquet")).unlink()
    result = once(until=("Transform",))
    assert result.status == "succeeded" and not result.component("Transform").cached
    assert result.component("ColumnarExampleGen").cached


def says_full(error: str) -> bool:
    """Whether an error is of a full disk: of whatever had to write first."""
    return "disk is full" in error or "no space left on the device" in error


def test_a_full_disk_is_one_line_and_loses_nothing(yard, tmp_path: pathlib.Path, monkeypatch) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    before = released()
    try:
        monkeypatch.setenv("TRAINYARD_HOME", str(small))
        result = once("training.epochs=2")
        assert (result.status, result.exit_code) == ("failed", 2)
        assert says_full(result.error) and "\n" not in result.error and released() == before
        with contextlib.suppress(OSError), (small / "rest").open("wb", buffering=0) as file:
            while file.write(b"\0" * 512):
                pass
        printed = once("training.epochs=2")  # no byte is left for log, report and run.json either
        assert (printed.status, printed.exit_code) == ("failed", 2) and says_full(printed.error)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)
