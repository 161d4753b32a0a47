"""Labels that come later: which are kept, what they say of each version, and what follows from a broken bound."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as sklearn_metrics

from cli import main as cli
from components.confidence import proportion_bounds
from components.served_model import RawFeature, ServedModel
from model_store import ModelStore, ReleaseDraft
from quality.history import LIVE, History, Outcome
from quality.monitoring import breach_of, landed, look, take_in
from quality.monitoring._feedback import read_labels
from quality.monitoring._requests import read_requests
from spec import home
from spec.workload import find_workload
from tests.yard import WORKLOAD, make_yard

NOW = datetime.datetime.now(datetime.UTC)
FARE = {"fare": RawFeature("float32")}
MODELS = {
    "binary": ServedModel("binary", "tipped", ("0", "1"), FARE, threshold=0.3),
    "multiclass": ServedModel("multiclass", "tipped", ("a", "b", "c"), FARE),
    "multilabel": ServedModel("multilabel", "tipped", ("a", "b"), FARE),
    "regression": ServedModel("regression", "tipped", (), FARE),
}


@dataclasses.dataclass
class Site:
    """A site with a workload, releases that say what they are, and a record."""

    root: pathlib.Path
    store: ModelStore

    @property
    def record(self) -> pathlib.Path:
        return self.root / "record"

    @property
    def workload(self):
        return find_workload("tips")[0]

    def said(self, task: str = "binary", **live: object) -> None:
        text = WORKLOAD.replace("task: binary", f"task: {task}")
        if task != "binary":
            text = text.partition("evaluation:")[0]
        self.yaml(f"{text}\nmonitoring: {{live: {json.dumps(live)}}}\n")

    def yaml(self, text: str) -> None:
        (home.workloads_root() / "tips" / "workload.yaml").write_text(text)

    def release(self, label: str | None = "stable", task: str = "binary") -> int:
        export = self.root / f"export-{len(self.store.versions('tips'))}"
        export.mkdir()
        (export / "saved_model.pb").write_bytes(b"a graph")
        MODELS[task].write(export)
        version = self.store.publish("tips", export, ReleaseDraft(export.name, task)).version
        if label == "stable":
            self.store.promote("tips", version, reason="test", actor="test")
        elif label:
            self.store.set_label("tips", label, version, reason="test", actor="test")
        return version

    def answer(self, ids: Sequence[str], predictions: Sequence[object], version: int = 1, minutes: float = 1) -> None:
        """As the model server records requests of one row each; `minutes` ago."""
        at = (NOW - datetime.timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
        head = {"at": at, "row": 0, "model": "tips", "version": version, "label": "stable", "columns": {}}
        lines = [
            json.dumps(head | {"request_id": id_, "prediction": one}) for id_, one in zip(ids, predictions, strict=True)
        ]
        folder = self.record / "tips"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"20261120T120000.{len(list(folder.iterdir())):06}-7.jsonl").write_text("\n".join(lines) + "\n")

    def binary(self, rows: int, right: float, version: int = 1, seed: int = 0, prefix: str = "") -> None:
        """Answers, of which a share is right, and their labels."""
        rng = np.random.default_rng(seed)
        truths = rng.random(rows) < 0.4
        called = np.where(rng.random(rows) < right, truths, ~truths)
        ids = [f"{prefix}v{version}-{n}" for n in range(rows)]
        self.answer(ids, [{"probability": 0.9 if one else 0.1} for one in called], version)
        self.label(dict(zip(ids, truths.astype(int), strict=True)))

    def label(self, labels: dict[str, object], name: str = "") -> None:
        path = self.root / f"{name or next(iter(labels))}.csv"
        path.write_text("request_id,label\n" + "".join(f"{id_},{label}\n" for id_, label in labels.items()))
        (taken,) = take_in(self.workload, self.record, [str(path)])
        assert not taken.refused, taken.problems

    def take(self, name: str, text: str):
        path = self.root / name
        path.write_text(text)
        (taken,) = take_in(self.workload, self.record, [str(path)])
        return taken

    def breach(self):
        found = look(self.workload, self.record)
        with History.open() as history:
            history.record(found.validation)
            return breach_of(self.workload, found, self.store, history)


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name, value in make_yard(tmp_path).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRAINYARD_RECORD", str(tmp_path / "record"))
    return Site(tmp_path, ModelStore(home.store_uri()))


# What is kept of labels.


def test_good_rows_are_kept_and_the_others_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.release()
    path = site.root / "labels.csv"
    path.write_text(
        "request_id,row,label,at\n"
        "a,0,1,2026-11-01T10:00:00Z\n"
        "a b,0,1,\n"
        "b,-1,1,\n"
        "c,,maybe,\n"
        "d,1,0,\n"
        "e,0,,\n"
        "f,0,1,yesterday\n"
        "g,0,1,2099-01-01T00:00:00Z\n"
        ",0,1,\n"
    )
    assert cli.main(["feedback", "tips", str(path)]) == 2
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"{path}: 2 labels kept, 7 refused"
    for row, said in (
        (2, "request_id: expected 1 to 128 of the characters"),
        (3, "row: expected the row's number within the request, from 0. Received: '-1'."),
        (4, "label: expected one of the model's classes ('0', '1'). Received: 'maybe'."),
        (6, "label: is missing."),
        (7, "at: expected a time such as 2026-01-31T09:30:00Z. Received: 'yesterday'."),
        (8, "at: lies in the future."),
        (9, "request_id: expected"),
    ):
        assert any(line.startswith(f"  row {row}: {said}") for line in shown), (row, shown)
    kept = read_labels(site.record, "tips").to_pylist()
    assert [(one["request_id"], one["row"], one["label"]) for one in kept] == [("a", 0, "1"), ("d", 1, "0")]
    (segment,) = (site.record / "tips" / "labels").iterdir()
    assert segment.stat().st_mode & 0o777 == 0o600
    assert cli.main(["feedback", "tips", str(path)]) == 0 and "was taken in before" in capsys.readouterr().out


def test_the_last_label_of_a_row_counts(site: Site) -> None:
    site.release()
    site.take("1.csv", "request_id,label\na,0\na,1\nb,0\n")
    site.take("2.csv", "request_id,label,at\nb,1,\nc,1,2026-11-02T00:00:00Z\n")
    site.take("3.csv", "request_id,label,at\nc,0,2026-11-01T00:00:00Z\n")  # what was known earlier, taken in later
    kept = {one["request_id"]: one["label"] for one in read_labels(site.record, "tips").to_pylist()}
    assert kept == {"a": "1", "b": "1", "c": "1"}


def test_formats_and_kinds_of_labels(site: Site) -> None:
    site.release()
    assert (
        site.take("1.jsonl", '{"request_id": "a", "label": 1}\n{"request_id": "b", "label": 0, "row": 3}\n').kept == 2
    )
    pq.write_table(pa.table({"request_id": ["c", "d"], "label": [True, False]}), site.root / "2.parquet")
    (taken,) = take_in(site.workload, site.record, [str(site.root / "2.parquet")])
    assert taken.kept == 2
    kept = {(one["request_id"], one["row"]): one["label"] for one in read_labels(site.record, "tips").to_pylist()}
    assert kept == {("a", 0): "1", ("b", 3): "0", ("c", 0): "1", ("d", 0): "0"}


def test_labels_that_are_numbers_or_lists(site: Site) -> None:
    site.said("regression")
    site.release(task="regression")
    taken = site.take("1.csv", "request_id,label\na,1.5\nb,nan\nc,ten\nd,-2\n")
    assert (taken.kept, taken.refused) == (2, 2) and taken.problems[1] == (
        "row 3: label: expected a number. Received: 'ten'."
    )
    site.said("multilabel")
    site.release(task="multilabel")
    taken = site.take("2.jsonl", '{"request_id": "a", "label": ["a", "b"]}\n{"request_id": "b", "label": ["z"]}\n')
    assert (taken.kept, taken.refused) == (1, 1)
    # Of what was kept when the task was another one nothing can be used.
    assert [one["label"] for one in read_labels(site.record, "tips").to_pylist()] == [["a", "b"]]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels.txt", "", "expected a file that ends in .csv, .jsonl, .ndjson, .parquet"),
        ("labels.csv", "id,label\na,1\n", "has no column 'request_id'"),
        ("labels.csv", "", "cannot be read"),
        ("labels.parquet", "no parquet", "cannot be read"),
        ("labels.jsonl", '{"request_id": "a"', "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_at_all(
    site: Site, name: str, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site.release()
    (site.root / "good.csv").write_text("request_id,label\na,1\n")
    (site.root / name).write_text(text)
    assert cli.main(["feedback", "tips", str(site.root / name), str(site.root / "good.csv")]) == 2
    first, second, third = capsys.readouterr().out.splitlines()
    assert (first, third) == (f"{site.root / name}: 0 labels kept", f"{site.root / 'good.csv'}: 1 labels kept")
    assert second.startswith(f"  {said}")


def test_without_a_release_there_are_no_classes(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.root / "labels.csv").write_text("request_id,label\na,1\n")
    assert cli.main(["feedback", "tips", str(site.root / "labels.csv")]) == 2
    assert "there is no model 'tips'" in capsys.readouterr().err
    assert cli.main(["feedback", "tips", str(site.root / "none.csv")]) == 2
    assert cli.main(["feedback", "nobody"]) == 2


def test_files_land_and_are_taken_in_once(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.release()
    folder = site.root / "data" / "_feedback" / "tips"
    folder.mkdir(parents=True)
    site.yaml(WORKLOAD + "schedule: {quiet_seconds: 0}\n")
    (folder / "monday.csv").write_text("request_id,label\na,1\n")
    (folder / "notes.txt").write_text("no labels")
    assert landed(site.workload) == [str(folder / "monday.csv")]
    assert cli.main(["feedback", "tips"]) == 0 and "1 labels kept" in capsys.readouterr().out
    site.yaml(WORKLOAD + "schedule: {quiet_seconds: 3600}\n")
    assert landed(site.workload) == [], "a file that may still be written is left for later"
    assert cli.main(["feedback", "tips"]) == 0 and "no files with labels have landed" in capsys.readouterr().out


def test_labels_go_with_the_record_that_they_are_about(site: Site) -> None:
    site.release()
    site.take("old.csv", "request_id,label\na,1\n")
    record = site.record / "tips"
    (record / "20990101T000000.000000-7.jsonl").write_text("")  # everything before is gone
    site.take("new.csv", "request_id,label\nb,1\n")
    assert not list((record / "labels").iterdir())


# What they say.


def test_live_metrics_are_sklearn_s(site: Site) -> None:
    rng = np.random.default_rng(3)
    rows = 400
    truths, scores = rng.integers(0, 2, rows), rng.random(rows).round(4)
    site.said(metrics=[{"metric": "auc", "min": 0.2}], confidence=0.9)
    site.release()
    ids = [f"r{n}" for n in range(rows)]
    site.answer(ids, [{"probability": float(one)} for one in scores])
    site.answer(["unlabelled"], [{"probability": 0.5}])
    site.label(dict(zip(ids, truths, strict=True)))
    (one,) = look(site.workload, site.record).versions
    assert (one.version, one.label, one.answered, one.labelled) == (1, "stable", 401, 400)
    found = {metric.metric: metric for metric in one.metrics}
    called = scores > 0.3  # the model's own threshold
    wanted = {
        "auc": sklearn_metrics.roc_auc_score(truths, scores),
        "accuracy": sklearn_metrics.accuracy_score(truths, called),
        "precision": sklearn_metrics.precision_score(truths, called),
        "recall": sklearn_metrics.recall_score(truths, called),
        "f1": sklearn_metrics.f1_score(truths, called),
        "log_loss": sklearn_metrics.log_loss(truths, scores),
    }
    for name, value in wanted.items():
        assert found[name].value == pytest.approx(value, abs=1e-4), name
    bounds = proportion_bounds(int((called == truths).sum()), rows, 0.9)
    assert (found["accuracy"].low, found["accuracy"].high) == (bounds.low, bounds.high)


def test_numbers_and_classes_and_lists(site: Site) -> None:
    rng = np.random.default_rng(4)
    ids = [f"r{n}" for n in range(50)]
    labels = rng.normal(10, 2, 50)
    site.said("regression")
    site.release(task="regression")
    site.answer(ids, [{"prediction": float(one) + 0.5} for one in labels])
    site.label(dict(zip(ids, labels, strict=True)))
    (one,) = look(site.workload, site.record).versions
    assert one.metric("rmse").value == pytest.approx(0.5) and one.metric("bias").value == pytest.approx(0.5)
    assert one.metric("r2").value == pytest.approx(sklearn_metrics.r2_score(labels, labels + 0.5))

    site.said("multiclass")
    site.release(task="multiclass")
    ids = [f"c{n}" for n in range(3)]
    sure = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]]
    site.answer(ids, [{"probabilities": one, "label": "x"} for one in sure], version=2)
    site.label(dict(zip(ids, "abc", strict=True)))
    newest = look(site.workload, site.record).versions[0]
    assert (newest.version, newest.labelled) == (2, 3)
    assert newest.metric("accuracy").value == pytest.approx(2 / 3)

    site.said("multilabel")
    site.release(task="multilabel")
    site.answer(["m0", "m1"], [{"probabilities": [0.9, 0.1]}, {"probabilities": [0.9, 0.9]}], version=3)
    lines = [json.dumps({"request_id": f"m{n}", "label": one}) for n, one in enumerate((["a"], ["b"]))]
    assert site.take("m.jsonl", "\n".join(lines)).kept == 2
    newest = look(site.workload, site.record).versions[0]
    assert (newest.version, newest.metric("subset_accuracy").value) == (3, 0.5)


def test_what_cannot_be_judged_is_left_out(site: Site) -> None:
    """Answers out of the window, of another shape or not finite; rows without an id; labels that a version does not know."""
    site.said("multiclass", window_hours=1)
    site.release(task="multiclass")
    good = {"probabilities": [0.8, 0.1, 0.1]}
    site.answer(
        ["good", "null", "short", "other"], [good, {"probabilities": [None, 0.5, 0.5]}, {"probabilities": [1]}, {}]
    )
    site.answer(["late"], [good], minutes=61)
    site.answer(["gone"], [good], version=9)
    old = {"at": NOW.isoformat(), "model": "tips", "version": 1, "label": "stable", "columns": {}, "prediction": good}
    (site.record / "tips" / "20261121T000000.000000-1.jsonl").write_text(json.dumps(old) + "\n{torn")
    site.label(dict.fromkeys(("good", "null", "short", "other", "late", "gone"), "a"))
    gone, one = look(site.workload, site.record).versions
    assert (gone.version, gone.answered, gone.labelled, gone.metrics) == (9, 1, 0, ())
    assert (one.answered, one.labelled) == (4, 1)


def test_of_a_request_that_was_asked_twice_the_newest_answer_counts(site: Site) -> None:
    site.release()
    site.release()
    site.answer(["a"], [{"probability": 0.9}], version=1, minutes=2)
    site.answer(["a"], [{"probability": 0.1}], version=2, minutes=1)
    site.label({"a": 0})
    (one,) = look(site.workload, site.record).versions
    assert (one.version, one.answered, one.metric("accuracy").value) == (2, 1, 1.0)


def test_newer_rows_in_a_segment_that_was_begun_earlier_are_found(site: Site) -> None:
    """Two servers write at a time: a segment that was begun later may hold older rows alone."""
    site.release()
    site.answer(["new"], [{"probability": 0.9}], minutes=1)
    site.answer(["old"], [{"probability": 0.9}], minutes=120)
    since = NOW - datetime.timedelta(hours=1)
    assert read_requests(site.record, "tips", 1, since).rows == 1


# What follows.


@pytest.mark.parametrize(
    ("rows", "right", "outcome", "said"),
    [
        (1000, 0.95, Outcome.PASSED, "Version 1 does what it has to: accuracy 0.9"),
        (1000, 0.80, Outcome.FAILED, "Version 1 no longer does what it has to: accuracy 0.8"),
        (1000, 0.895, Outcome.PASSED, "but that may be chance: 99 % at most 0.9"),
        (199, 0.5, Outcome.PASSED, "Version 1 is not judged: 199 rows with a label are too few"),
    ],
)
def test_only_what_is_surely_broken_is_a_breach(
    site: Site, rows: int, right: float, outcome: Outcome, said: str
) -> None:
    site.said(metrics=[{"metric": "accuracy", "min": 0.9}])
    site.release()
    site.binary(rows, right)
    found = look(site.workload, site.record).validation
    assert said in found.headline and found.outcome is outcome and found.source == LIVE
    breach = site.breach()
    assert (breach is not None) == (outcome is Outcome.FAILED)
    if breach:
        assert (breach.id, breach.then, breach.version) == ("v1-accuracy", "alert", 1)
        assert "99 % at most" in breach.words


def test_a_canary_or_an_old_version_is_no_breach(site: Site) -> None:
    site.said(metrics=[{"metric": "accuracy", "min": 0.9}])
    site.release()
    site.release("canary")
    site.binary(500, 0.95)
    site.binary(500, 0.5, version=2)
    found = look(site.workload, site.record).validation
    assert found.outcome is Outcome.WARNED and site.breach() is None
    assert [c.severity for c in found.checks if c.failed] == ["warning"]


def test_a_rollback_goes_to_the_release_before(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.said(metrics=[{"metric": "accuracy", "min": 0.9}], then="rollback")
    site.release()
    site.release()
    site.binary(500, 0.97, version=1)
    site.binary(500, 0.5, version=2)
    assert cli.main(["live", "tips"]) == 2 and site.store.labels("tips")["stable"] == 2, "it looks, and does nothing"
    shown = capsys.readouterr().out
    assert "monitoring.live.then: go back to version 1" in shown
    assert cli.main(["live", "tips", "--act"]) == 2
    assert "version 1 is stable again" in capsys.readouterr().out
    assert site.store.labels("tips")["stable"] == 1
    assert "accuracy 0.5" in site.store.history("tips")[-1].reason
    assert cli.main(["live", "tips", "--act"]) == 0, "the stable release does what it has to"


def test_what_speaks_against_a_rollback(site: Site) -> None:
    site.said(metrics=[{"metric": "accuracy", "min": 0.9}], then="rollback")
    site.release()
    site.binary(500, 0.3, version=1)
    assert "no stable release before" in site.breach().refused  # and what was found of version 1 is in the history now
    site.release()
    for path in (site.record / "tips").glob("*.jsonl"):
        path.unlink()
    site.binary(500, 0.5, version=2)
    assert site.breach().refused.startswith("version 1 is known to be no better: its live accuracy was 0.2960")
    site.release()
    site.binary(500, 0.2, version=3)
    assert (site.breach().to, site.breach().refused) == (2, "")
    site.store.rollback("tips", reason="test", actor="test")
    assert site.breach().version == 2 and "it is stable by a rollback itself" in site.breach().refused


def test_what_the_command_shows_and_leaves(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.said(metrics=[{"metric": "accuracy", "min": 0.9}])
    site.release()
    site.binary(500, 0.95)
    assert cli.main(["live", "tips", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["breach"] is None and said["outcome"] == "passed"
    assert said["versions"][0]["verdicts"]["accuracy"][0] == "passed"
    left = json.loads((site.record / "tips" / "live.json").read_text())
    assert left["feedback_rows"] == 500
    (version,) = left["versions"]
    assert version["metrics"]["accuracy"]["min"] == 0.9 and version["labelled"] == 500
    with History.open() as history:
        (one,) = history.validations("tips")
        assert one.source == LIVE and [v.id for v in history.newest_of_models()] == [one.id]
        assert history.newest_of_spans(10) == []
    assert pathlib.Path(said["page"]).is_file()


def test_without_a_record_or_where_the_task_cannot_be_judged(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.release()
    assert cli.main(["live", "tips"]) == 2 and "there is no record of requests" in capsys.readouterr().err
    site.yaml(WORKLOAD + "monitoring: {live: {metrics: [{metric: rmse, max: 1}]}}\n")
    assert cli.main(["live", "tips"]) == 2
    assert "monitoring.live.metrics: task binary has auc" in capsys.readouterr().err


def test_the_pages_show_how_it_went(site: Site) -> None:
    site.said(metrics=[{"metric": "accuracy", "min": 0.9}])
    site.release()
    site.binary(300, 0.95)
    for _ in range(2):
        assert cli.main(["live", "tips"]) == 0
    site.release()
    site.binary(300, 0.5, version=2)
    assert cli.main(["live", "tips"]) == 2
    page = (home.home() / "reports" / "tips" / "index.html").read_text()
    assert "Accuracy of the stable release, by labels that came later" in page
    assert ">v1<" in page and ">v2<" in page and ">limit 0.9<" in page
    assert "Version 2 no longer does what it has to" in page and "Breaks a bound" in page
