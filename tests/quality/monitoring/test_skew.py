"""Skew between training and serving: what the model server recorded, held against what a release was trained on."""

from __future__ import annotations

import datetime
import json
import pathlib

import numpy as np
import pyarrow as pa
import pytest

from cli import main as cli
from components.columnar import decode_splits, read_split
from components.drift.distributions import categories, numbers
from components.drift.profile import Profile
from components.infra_validator.golden import golden_rows, instances
from components.served_model import ServedModel, load_answerer
from model_store import ModelStore, ReleaseDraft
from pipelines.training_examples import training_examples
from quality.history import History, Outcome
from quality.monitoring import SkewRequest, check_skew
from quality.monitoring._answers import parts_of, spread
from quality.monitoring._requests import read_requests, requests_profile
from spec import home
from spec.errors import InputError
from tests.yard import WORKLOAD, Yard, make_yard

ROWS = 4_000
AT = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)


def trips(seed: int, scale: float = 1.0, cash: float = 0.4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "fare": (np.round(rng.exponential(10, ROWS), 2) * scale).astype(np.float32),
        "miles": np.where(rng.random(ROWS) < 0.1, np.nan, rng.exponential(3, ROWS)).astype(np.float32),
        "kind": np.where(rng.random(ROWS) < cash, "cash", "card"),
        "probability": rng.random(ROWS).astype(np.float32),
    }


def lines(rows: dict[str, np.ndarray], version: int = 1, minutes: float = 0) -> list[str]:
    """As the model server writes them: the shortest text of a float32, null for what is missing."""

    def plain(value):
        if isinstance(value, np.floating):
            return None if np.isnan(value) else float(str(value))
        return str(value)

    at = (AT - datetime.timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
    head = {"at": at, "model": "tips", "version": version, "label": "stable"}
    columns = [name for name in rows if name != "probability"]
    return [
        json.dumps(
            head
            | {"columns": {name: plain(rows[name][i]) for name in columns}}
            | {"prediction": {"probability": plain(rows["probability"][i]), **_lists(rows, i)}}
        )
        for i in range(len(rows["fare"]))
    ]


def _lists(rows: dict[str, np.ndarray], row: int) -> dict[str, list]:
    """Outputs with more than one value a row."""
    p = float(str(rows["probability"][row]))
    return {"classes": [p, 0.5], "items": [rows["kind"][row], "coach", ""], "code": [0.5] * 40}


def segment(folder: pathlib.Path, text: list[str], name: str = "20261120T120000.000000-7.jsonl") -> pathlib.Path:
    path = folder / "tips" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def served(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A workload whose release 1 has been looked at before: its profiles are kept. Returns where requests are recorded."""
    yard = make_yard(tmp_path)
    for name, value in yard.environment().items():
        monkeypatch.setenv(name, value)
    export = tmp_path / "export"
    export.mkdir()
    (export / "saved_model.pb").write_bytes(b"a graph")
    release = ModelStore(home.store_uri()).publish("tips", export, ReleaseDraft("once", "binary", run_id="run-1"))
    then = trips(1)
    columns = {name: numbers(pa.array(then[name])) for name in ("fare", "miles")}
    columns["kind"] = categories(pa.array(then["kind"]))
    kept = home.home() / "monitoring" / "tips" / f"1-{release.digest[:16]}.json"
    kept.parent.mkdir(parents=True)
    probability = numbers(pa.array(then["probability"]))
    answers = {"probability": probability, "classes[late]": probability, "items[first]": columns["kind"]}
    answers["items[answered]"] = numbers(pa.array([2] * ROWS))
    trained = Profile("what release 1 was trained on", {"": ROWS}, {"": columns})
    answered = Profile("the eval split of release 1", {"": ROWS}, {"": answers})
    parts = {"probability": [], "classes": ["late", "empty"], "items": ["first", "answered"]}
    facts = {"parts": parts, "not_compared": {"code": "40 numbers a row, and at most 32 are compared"}}
    kept.write_text(json.dumps({"columns": trained.to_json(), "predictions": answered.to_json(), **facts}))
    return tmp_path / "record"


def ask(record: pathlib.Path, **more):
    return check_skew(SkewRequest("tips", record, "1", **more), training_examples)


def test_requests_like_the_training_data_are_not_skewed(served: pathlib.Path) -> None:
    found = ask(segment(served, lines(trips(2))))
    assert found.outcome is Outcome.PASSED and found.source == "serving" and found.span is None
    assert found.headline == (
        "What version 1 is asked looks like what it was trained on (4,000 requests, 7 comparisons)."
    )
    fare = {change.measure: change.value for change in found.changes if change.column == "fare"}
    assert fare["kolmogorov_smirnov"] < 0.05  # 12.45 was stored as 12.449999809: the same value, not a step of its own


def test_a_skewed_column_and_drifted_answers_are_named_with_figures(served: pathlib.Path) -> None:
    asked = trips(2, scale=3, cash=0.9)
    asked["probability"] = asked["probability"] ** 3
    found = ask(segment(served, lines(asked)))
    assert found.outcome is Outcome.WARNED and found.reference == "run-1"
    assert found.headline == (
        "What version 1 is asked is not what it was trained on, in fare, kind; what it answers has drifted, in probability, "
        "classes[late], items[first] (4,000 requests)."
    )
    (kind,) = [check for check in found.checks if check.name == "skew(kind)"]
    assert "'cash': 89.7 % after 42.2 %" in kind.message and not kind.passes
    assert {c.kind for c in found.changes} == {"skew", "prediction_drift"}
    answers = {"probability", "classes[late]", "items[first]", "items[answered]"}
    assert {column.name for column in found.columns} == {
        "fare",
        "miles",
        "kind",
        *(f"prediction: {a}" for a in answers),
    }
    (left,) = [check for check in found.checks if check.name == "prediction_drift(code)"]
    assert not left.judged and left.message == "code: 40 numbers a row, and at most 32 are compared"


def test_limits_come_from_the_workload(served: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = "quality: {skew: {columns: {fare: {psi: 0.05, severity: critical}, kind: {}}, min_rows: 100}}"
    path = home.workloads_root() / "tips" / "workload.yaml"
    path.write_text(f"{WORKLOAD}\n{limits}\n")
    segment(served, lines(trips(2, scale=1.609, cash=0.9)))
    assert cli.main(["skew", "tips", "--release", "1", "--record", str(served)]) == 2
    shown = capsys.readouterr().out
    assert "critical fare is skewed from what release 1 was trained on: PSI" in shown and "kind" not in shown
    with History.open() as history:
        (one,) = history.validations("tips")
    page = home.home() / "reports" / "tips" / "validations" / one.id / "index.html"
    assert str(page) in shown and "How requests differ" in page.read_text()
    overview = (home.home() / "reports" / "index.html").read_text()
    assert "What version 1 is asked is not what it was trained on" in overview


@pytest.mark.parametrize(
    ("output", "answers", "parts"),
    [
        ("probability", np.zeros((3, 1), np.float32), ()),
        ("label", np.array([b"a", b"b"], object), ()),
        ("probabilities", np.zeros((3, 2), np.float32), ("no", "yes")),
        ("code", np.zeros((3, 4), np.float32), ("0", "1", "2", "3")),
        ("items", np.full((3, 10), b"a", object), ("first", "answered")),
        ("pixels", np.zeros((3, 8, 8, 1), np.float32), "64 numbers a row, and at most 32 are compared"),
        ("mask_bytes", np.array([b"PNG"], object), "pictures and other bytes are compared by nothing yet"),
    ],
)
def test_what_is_compared_of_an_output(output: str, answers: np.ndarray, parts: object) -> None:
    assert parts_of(output, answers, ("no", "yes")) == parts


def test_a_row_of_another_width_has_no_value(served: pathlib.Path) -> None:
    parts = {"p": ("no", "yes"), "q": (), "gone": ("a", "b")}
    found = spread({"p": [[[0.25], [0.75]], [0.5], None], "q": [[0.5], 0.25, [1, 2]]}, parts)
    assert found == {"p[no]": [0.25, None, None], "p[yes]": [0.75, None, None], "q": [0.5, 0.25, None]}


def test_too_few_rows_are_recorded_and_not_judged(served: pathlib.Path) -> None:
    few = {name: values[:20] for name, values in trips(2).items()}
    found = ask(segment(served, lines(few) + lines(trips(3), version=2)))
    assert found.outcome is Outcome.PASSED and not found.changes
    assert "20 recorded rows of version 1 are too few" in found.headline and "4,000 of version 2" in found.headline


def test_no_record_is_one_line(served: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="there is no record of requests"):
        ask(served)
    assert cli.main(["skew", "tips", "--release", "1"]) == 2
    assert "--record names no folder" in capsys.readouterr().err


def test_old_torn_and_strange_lines_are_passed_over(tmp_path: pathlib.Path) -> None:
    rows = {name: values[:10] for name, values in trips(2).items()}
    segment(tmp_path, lines(rows, minutes=90), "20261120T100000.000000-7.jsonl")
    text = [*lines(rows), '{"at": "2026-11-20T12', "[1, 2]", '{"at": 1}', "\udcff".encode("utf-8", "replace").decode()]
    segment(tmp_path, text)
    found = read_requests(tmp_path, "tips", 1, since=AT - datetime.timedelta(hours=1))
    assert (found.rows, found.unreadable, len(found.columns["fare"])) == (10, 4, 10)
    assert read_requests(tmp_path, "tips", 1).rows == 20
    assert read_requests(tmp_path, "tips", 1, most_rows=3).rows == 3


def test_values_are_described_as_the_reference_is() -> None:
    text = [f"a text of its own, number {i}" for i in range(200)]
    known = {
        "code": categories(pa.array([1, 2, 2])),
        "bytes": categories(pa.array([b"\xff", b"a"])),
        "note": numbers(pa.array([len(one) for one in text])),  # free text is compared by its length
        "vector": numbers(pa.array([1.0])),
        "unrecorded": numbers(pa.array([1.0])),
    }
    values = {"code": [1, 2, None], "bytes": [{"b64": "/w=="}, "a"], "note": text, "vector": [[1.0, 2.0]]}
    found = requests_profile("requests", values, 200, Profile("then", {"": 3}, {"": known})).distributions[""]
    assert found["code"].counts == {"1": 1, "2": 1} and found["code"].missing == 1
    assert found["bytes"].counts == {"\\xff": 1, "a": 1}
    assert found["note"].values.max() == len(text[-1])
    assert set(found) == {"code", "bytes", "note"}


@pytest.mark.slow
def test_the_reference_is_what_a_real_release_was_trained_on(yard: Yard) -> None:
    from pipelines.run import Display, RunRequest, run
    from quality.monitoring._training import training_of

    result = run(RunRequest("tips"), Display())
    release = ModelStore(home.store_uri()).resolve("tips", 1)
    assert result.release["version"] == release.version
    training = training_of("tips", release, training_examples)
    examples = training_examples("tips", release, pathlib.Path("unused"))
    split = decode_splits(examples.split_names)[0]
    fares = read_split(examples.uri, split, ["fare"])["fare"]
    assert training.columns.distributions[""]["fare"].rows == len(fares)
    assert set(training.columns.distributions[""]) == {"fare", "miles", "kind"}
    assert "probability" in training.predictions.distributions[""]
    # Rows of the eval split, asked again: what is answered is what was answered.
    model = ServedModel.read(pathlib.Path(release.uri))
    rows = golden_rows(examples.uri, decode_splits(examples.split_names)[-1], list(model.features), 1_000)
    answers = load_answerer(pathlib.Path(release.uri), model)(model.inputs(rows.combine_chunks().to_batches()[0]))
    asked = instances(model, rows.combine_chunks().to_batches()[0])
    values = {name: [one.get(name) for one in asked] for name in model.features}
    predicted = {"probability": [float(p) for p in answers["probability"].reshape(-1)]}
    new = requests_profile("again", predicted, len(asked), training.predictions).distributions[""]["probability"]
    assert np.allclose(new.values, training.predictions.distributions[""]["probability"].values, atol=1e-6)
    assert requests_profile("again", values, len(asked), training.columns).distributions[""]["miles"].missing > 0
