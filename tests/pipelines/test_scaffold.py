"""`trainyard new` on data files as they come: real TFT, Keras and Great Expectations."""

from __future__ import annotations

import argparse
import decimal
import json
import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from cli import scaffold as cli
from components.ingestion.contract import columns_of
from components.ingestion.readers import read_file
from components.schema import classes_of, feature_of, is_personal, read_schema
from pipelines.scaffold import creating
from pipelines.scaffold.creating import Created, create
from pipelines.scaffold.profiling import Kind
from pipelines.scaffold.request import Request
from spec.errors import InputError
from spec.workload import load_workload

pytestmark = pytest.mark.usefixtures("places")
ROWS = 240


def make_frame() -> pd.DataFrame:
    """Customers with every kind of column."""
    random = np.random.default_rng(7)
    income = random.lognormal(3, 1.5, ROWS)
    income[::9] = np.nan
    frame = pd.DataFrame(
        {
            "customer id": range(1, ROWS + 1),
            "age": random.normal(45, 12, ROWS).round(1),
            "income (k$)": income,
            "größe": random.integers(150, 200, ROWS),
            "rooms": random.integers(1, 6, ROWS),
            "city": random.choice(["Köln", 'New "York"', "<b>Bari</b>", "a\\b"], ROWS),
            "note": pd.Series(random.choice(["line\none", "two"], ROWS)).mask(np.arange(ROWS) % 3 == 0),
            "active": random.choice([True, False], ROWS),
            "constant": "same",
            "since": pd.date_range("2024-01-01", periods=ROWS).astype(str),
            "name": [f"customer {n}" for n in range(ROWS)],
            "empty": np.nan,
        }
    )
    frame["label"] = np.where(frame["age"] > 45, "yes", "no")
    return frame


def write_csv(folder: pathlib.Path, frame: pd.DataFrame, name: str = "data.csv", **options: Any) -> str:
    path = folder / name
    frame.to_csv(path, index=False, **options)
    return str(path)


def make(places: pathlib.Path, frame: pd.DataFrame, **options: Any) -> Created:
    return create(Request(**{"name": "demo", "data": write_csv(places, frame), "label": "label"} | options))


def simple(label: Any, rows: int = 120) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(rows) % 37 + 0.5, "label": label})


def ingested(created: Created, format: str = "csv") -> list[Any]:
    """The span as every run reads it."""
    workload = load_workload(created.workload)
    columns = columns_of(read_schema(str(created.schemas)))
    path = next(created.span.iterdir())
    return list(read_file(path, format, columns, workload.data.ignore))


def test_every_kind_of_column_is_put_to_use_or_explained(places: pathlib.Path) -> None:
    created = make(places, make_frame())
    kinds = {column.name: column.kind for column in created.profile.columns}
    assert kinds == {
        "age": Kind.NUMBER,
        "income (k$)": Kind.SKEWED,
        "größe": Kind.NUMBER,
        "rooms": Kind.CODE,
        "city": Kind.CATEGORY,
        "note": Kind.CATEGORY,
        "active": Kind.BOOLEAN,
        "since": Kind.DATE,
    }
    assert set(created.profile.ignored) == {"customer id", "constant", "name", "empty"}
    story = "\n".join(created.story)
    assert "Task: binary (the label has two values" in story
    assert "Dates: since" in story
    schema = read_schema(str(created.schemas))
    assert classes_of(schema, "label") == ["no", "yes"]
    assert list(feature_of(schema, "city").string_domain.value) == sorted(make_frame()["city"].unique())
    assert feature_of(schema, "age").HasField("shape")
    assert not feature_of(schema, "note").HasField("shape")
    assert 0 < feature_of(schema, "note").presence.min_fraction < 0.667
    assert sum(batch.num_rows for batch in ingested(created)) == ROWS
    workload = load_workload(created.workload)
    assert workload.data.label.positive_class == "yes"
    assert workload.evaluation.thresholds[0].metric == "auc"


def test_the_scaffolded_test_passes(places: pathlib.Path) -> None:
    """The generated test, run as it is: TFT analyses the features, Keras answers."""
    created = make(places, make_frame())
    code: dict[str, Any] = {}
    exec(compile(created.test.read_text(), str(created.test), "exec"), code)
    scratch = places / "scratch"
    scratch.mkdir()
    code["test_features_and_model_fit_together"](scratch)


def test_the_drafted_suite_holds_on_its_own_data(places: pathlib.Path) -> None:
    from components.columnar import SplitWriter
    from components.data_quality.worker import check_examples

    created = make(places, make_frame())

    def judge(frame: pd.DataFrame, name: str, fail_on: str) -> list[Any]:
        rows = pa.Table.from_pandas(frame, preserve_index=False)
        with SplitWriter(places / name, "train", rows.schema) as writer:
            for batch in rows.to_batches():
                writer.write(batch)
        suite = str(created.schemas / "expectations.json")
        result, _ = check_examples(str(places / name), ["train"], str(created.schemas), suite, fail_on, places / name)
        return [check for check in result.checks if not check.passes]

    frame = pd.concat(batch.to_pandas() for batch in ingested(created)).reset_index(drop=True)
    assert [check.message for check in judge(frame, "as it came", "warning")] == []
    frame.loc[0, "city"] = "Atlantis"
    frame.loc[1, "label"] = "maybe"
    failed = judge(frame, "damaged", "critical")
    assert {check.name: str(check.severity) for check in failed} == {
        "expect_column_values_to_be_in_set(label)": "critical",
        "expect_column_values_to_be_in_set(city)": "warning",
    }


def test_columns_of_persons_are_tagged(places: pathlib.Path) -> None:
    frame = simple(np.arange(120) % 2)
    frame["email"] = [f"ann{i % 15}@example.com" for i in range(120)]
    frame["phone"] = [f"+49 170 {100000 + i % 9}" for i in range(120)]
    frame["article"] = [f"DE-{i % 9}" for i in range(120)]
    created = make(places, frame)
    tagged = {one.name for one in read_schema(str(created.schemas)).feature if is_personal(one)}
    assert tagged == {"email", "phone"}
    assert any("email, phone" in line for line in created.story)
    assert "email" not in (created.workload / "features.py").read_text(), "no feature unless workload.yaml says so"
    assert load_workload(created.workload).data.personal_features == ()
    written = "".join(path.read_text() for path in places.rglob("*.*") if path.suffix in (".json", ".pbtxt", ".py"))
    assert "ann3@" not in written and "100003" not in written and "DE-3" in written


def test_personal_columns_without_which_there_is_no_model_are_said_to_be_learnt_from(places: pathlib.Path) -> None:
    frame = simple(np.arange(120) % 2)
    frame = frame[["label"]].assign(email=[f"ann{i % 9}@example.com" for i in range(120)])
    created = make(places, frame)
    assert load_workload(created.workload).data.personal_features == ("email",)
    assert "email" in (created.workload / "features.py").read_text()


@pytest.mark.parametrize(
    ("label", "task", "classes"),
    [
        (np.arange(120) % 3 + 1, "multiclass", ["1", "2", "3"]),
        (np.arange(120) % 2, "binary", ["0", "1"]),
        (np.arange(120) % 2 == 0, "binary", ["False", "True"]),
        (np.where(np.arange(120) % 2, 1, -1), "binary", ["-1", "1"]),
        (np.array([10, 20, 40])[np.arange(120) % 3], "multiclass", ["10", "20", "40"]),
        (np.array([0.0, 1.0])[np.arange(120) % 2], "binary", ["0.0", "1.0"]),
        (np.array(["b", "a", "c"])[np.arange(120) % 3], "multiclass", ["a", "b", "c"]),
        (np.arange(120) * 1000, "regression", None),
        (np.arange(120) / 7, "regression", None),
    ],
)
def test_the_label_decides_task_and_classes(
    places: pathlib.Path, label: Any, task: str, classes: list[str] | None
) -> None:
    created = make(places, simple(label))
    assert load_workload(created.workload).task == task
    if classes is not None:
        assert classes_of(read_schema(str(created.schemas)), "label") == classes
    read = ingested(created)[0].column("label").to_pylist()
    assert {str(v) for v in read} == set(classes) if classes else all(isinstance(v, float) for v in read)


OWN_TASK = """
import dataclasses

from components.tasks.regression import Regression


class Tolerant(Regression):
    @classmethod
    def draft(cls, label, positive=None):
        return dataclasses.replace(super().draft(label, positive), bars=("{metric: mae, max: 3.5}",))
"""


def test_a_task_drafts_its_own_label(places: pathlib.Path) -> None:
    (places / "workloads" / "own").mkdir(parents=True)
    (places / "workloads" / "own" / "task.py").write_text(OWN_TASK)
    workload = load_workload(make(places, simple(np.arange(120) / 7), task="own.task.Tolerant").workload)
    assert workload.task == "own.task.Tolerant"
    assert [(bar.metric, bar.max) for bar in workload.evaluation.thresholds] == [("mae", 3.5)]


def test_a_task_that_drafts_nothing_is_refused(places: pathlib.Path) -> None:
    with pytest.raises(
        InputError, match=r"--task generation: `trainyard new` does not draft this task.*docs/guides/pictures\.md"
    ):
        make(places, simple(np.arange(120) / 7), task="generation")
    with pytest.raises(InputError, match="there is no task 'clustering'"):
        make(places, simple(np.arange(120) / 7), task="clustering")


def test_thresholds_beat_a_trivial_model_by_more_than_chance(places: pathlib.Path) -> None:
    values = np.arange(120) * 1000.0
    created = make(places, simple(values))
    threshold = load_workload(created.workload).evaluation.thresholds[0]
    assert threshold.metric == "rmse" and threshold.max == pytest.approx(values.std() * (1 - 1 / 48**0.5), rel=0.01)
    created = make(
        places, simple(np.where(np.arange(120) % 4, "a", np.where(np.arange(120) % 8, "b", "c"))), name="more"
    )
    threshold = load_workload(created.workload).evaluation.thresholds[0]
    assert threshold.metric == "accuracy" and threshold.min == pytest.approx(
        0.75 + (0.75 * 0.25 / 24) ** 0.5, abs=0.001
    )


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_other_formats(places: pathlib.Path, format: str) -> None:
    frame = make_frame()
    path = places / f"data.{format}"
    if format == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    created = create(Request(name="demo", data=str(path), label="label"))
    assert load_workload(created.workload).data.format == format
    assert sum(batch.num_rows for batch in ingested(created, format)) == ROWS
    read = pa.Table.from_batches(ingested(created, format))
    assert set(read.column("active").to_pylist()) == {
        "true",
        "false",
    }  # the schema's bool_domain, whatever the file has
    assert read.column("since")[0].as_py() == "2024-01-01"


def test_json_classes_must_be_text_or_small_integers(places: pathlib.Path) -> None:
    path = places / "data.jsonl"
    simple(np.where(np.arange(120) % 2, 0.5, 1.5)).to_json(path, orient="records", lines=True)
    with pytest.raises(InputError, match="JSON classes must be text"):
        create(Request(name="demo", data=str(path), label="label"))


def test_json_booleans_are_a_label(places: pathlib.Path) -> None:
    path = places / "data.jsonl"
    simple(np.arange(120) % 2 == 0).to_json(path, orient="records", lines=True)
    created = create(Request(name="demo", data=str(path), label="label"))
    assert classes_of(read_schema(str(created.schemas)), "label") == ["false", "true"]
    assert ingested(created, "jsonl")[0].column("label")[0].as_py() == "true"


def test_decimals_are_numbers(places: pathlib.Path) -> None:
    frame = simple(np.arange(120) % 2).assign(
        price=[decimal.Decimal(n % 9) + decimal.Decimal("0.25") for n in range(120)]
    )
    path = places / "data.parquet"
    frame.to_parquet(path, index=False)
    created = create(Request(name="demo", data=str(path), label="label"))
    assert "price" in {column.name for column in created.profile.columns}
    ingested(created, "parquet")


def test_several_files_become_one_span(places: pathlib.Path) -> None:
    for part in range(2):
        write_csv(places, simple(np.arange(60) % 2, 60), f"part-{part}.csv")
    created = create(Request(name="demo", data=str(places / "part-*.csv"), label="label"))
    assert sorted(path.name for path in created.span.iterdir()) == ["part-0.csv", "part-1.csv"]
    assert created.story[0].startswith("120 rows")


def test_files_of_one_name_from_several_folders_are_all_kept(places: pathlib.Path) -> None:
    for year, rows in (("year=2025", 120), ("year=2026", 90)):
        (places / year).mkdir()
        write_csv(places / year, simple(["yes", "no"] * (rows // 2), rows), "part-0.csv")
    created = create(Request("demo", str(places / "year=*" / "part-0.csv"), "label"))
    assert sorted(path.name for path in created.span.iterdir()) == ["00000-part-0.csv", "00001-part-0.csv"]
    assert sum(len(pd.read_csv(path)) for path in created.span.iterdir()) == 210


def test_a_name_that_runs_pass_over_is_changed(places: pathlib.Path) -> None:
    created = create(Request("demo", write_csv(places, simple(["yes", "no"] * 60), "_data.csv"), "label"))
    assert [path.name for path in created.span.iterdir()] == ["00000-_data.csv"]


def test_time_key_and_ignore(places: pathlib.Path) -> None:
    frame = make_frame()
    created = make(places, frame, time="since", ignore=("city",), name="by_time")
    assert load_workload(created.workload).data.split.time == "since"
    assert created.profile.ignored["city"] == "you said so"
    assert "since" not in (created.workload / "features.py").read_text()
    assert {f.name for f in read_schema(str(created.schemas)).feature} >= {"since", "label"}
    created = make(places, frame, key="customer id", name="by_key")
    assert load_workload(created.workload).data.split.key == "customer id"
    with pytest.raises(InputError, match="--time and --key"):
        make(places, frame, time="since", key="name", name="both")


def test_identifiers_are_categories_where_rows_share_them_and_nothing_where_they_do_not(places: pathlib.Path) -> None:
    rows = np.arange(120)
    frame = simple(np.array(["a", "b"])[rows % 2]).assign(movieId=rows % 30 * 10**12)
    frame["order_id"] = rows[::-1] ** 2
    created = make(places, frame)
    kinds = {column.name: column.kind for column in created.profile.columns}
    assert kinds["movieId"] is Kind.IDENTIFIER and "order_id" in created.profile.ignored
    assert any("'movieId': rows share its 30 values" in line and "--key" in line for line in created.story)


def test_byte_order_mark_and_quoted_newlines(places: pathlib.Path) -> None:
    path = places / "data.csv"
    rows = "".join(f'{n % 17}.5,"first\nsecond {n % 2}",{n % 2}\n' for n in range(100))
    path.write_bytes(b"\xef\xbb\xbfx,text,label\n" + rows.encode())
    created = create(Request(name="demo", data=str(path), label="label"))
    assert {column.name for column in created.profile.columns} == {"x", "text"}
    assert sum(batch.num_rows for batch in ingested(created)) == 100


def test_a_file_as_people_have_it_is_taken_and_read_by_every_run(places: pathlib.Path) -> None:
    path = places / "data.csv"
    rows = "".join(f'{n % 7},{n % 10};"1.{n:03},50 €";0{n % 3}139;{"ja" if n % 2 else "nein"}\n' for n in range(100))
    path.write_bytes(f"Bericht\n\ngröße;preis;plz;label\n{rows}".encode("cp1252"))
    created = create(Request(name="demo", data=str(path), label="label"))
    assert created.story[1].startswith(
        "Read so: the text is cp1252 (--encoding); the columns are separated by semicolons"
    )
    workload = load_workload(created.workload)
    columns = columns_of(read_schema(str(created.schemas)))
    reading = workload.data.read
    (batch,) = read_file(next(created.span.iterdir()), "csv", columns, workload.data.ignore, reading=reading)
    assert batch.to_pylist()[3] == {"größe": 3.3, "preis": 1003.5, "plz": "00139", "label": "ja"}
    assert {one.name: one.kind for one in created.profile.columns}["plz"] is Kind.CATEGORY


SIMPLE_ROWS = "".join(f"{n}.5,{n % 2}\n" for n in range(40))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f"x,other\n{SIMPLE_ROWS}".encode(), "--label 'label': the data has no such column"),
        (f"x,Label\n{SIMPLE_ROWS}".encode(), "Did you mean 'Label'?"),
        (f"x,label\n{SIMPLE_ROWS}2.5,\n".encode(), "1 of 41 rows have none (row 41)"),
        (b"x,label\n" + b"".join(b"%d.5,7\n" % n for n in range(40)), "all rows have 7"),
        (b"x,label\n1.5,1\n", "1 rows are too few"),
        (b"x,label\n", "0 rows are too few"),
        (b"", "the file is empty"),
        (f"x,label\n{SIMPLE_ROWS}1,2,3\n".encode(), "Expected 2 columns, got 3"),
        (b"x,label\n" + b"".join(b"5,%d\n" % (n % 2) for n in range(40)), "no column is left to learn from"),
        (b"x,label\n" + b"".join(b"%d.5,name %d\n" % (n, n) for n in range(40)), "too many classes"),
        (f"x,label\n{SIMPLE_ROWS}inf,1\n".encode(), "column 'x': holds an infinite number"),
    ],
)
def test_bad_files_are_refused_and_leave_nothing(places: pathlib.Path, content: bytes, why: str) -> None:
    path = places / "data.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        create(Request(name="demo", data=str(path), label="label"))
    assert why in str(raised.value) and "\n" not in str(raised.value)
    assert [one for one in places.rglob("*") if one.is_file()] == [path]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"name": "Demo"}, "must be lower-case"),
        ({"data": "nowhere.csv"}, "there is no such file"),
        ({"time": "when"}, "--time 'when'"),
        ({"ignore": ("label",)}, "is the label"),
        ({"task": "regression"}, "must be a number"),
    ],
)
def test_bad_options_are_refused(places: pathlib.Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        make(places, simple(np.array(["a", "b"])[np.arange(120) % 2]), **options)


def test_a_file_name_that_is_not_utf_8_is_refused(places: pathlib.Path) -> None:
    odd = pathlib.Path(os.fsdecode(os.fsencode(places) + b"/caf\xe9.csv"))
    odd.write_text(f"x,label\n{SIMPLE_ROWS}")
    with pytest.raises(InputError, match="name is not UTF-8"):
        create(Request(name="demo", data=f"{places}/*.csv", label="label"))


def test_nothing_is_overwritten_and_a_failure_leaves_nothing(
    places: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = simple(np.arange(120) % 2)
    (places / "schemas" / "demo").mkdir(parents=True)
    with pytest.raises(InputError, match="exists already"):
        make(places, frame)
    (places / "schemas" / "demo").rmdir()
    with monkeypatch.context() as patch:
        patch.setattr(creating, "_suite", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(places, frame)
    assert [one.name for one in places.rglob("*") if one.is_file()] == ["data.csv"]
    make(places, frame)


def test_command_says_what_it_decided(places: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    cli.add_commands(parser.add_subparsers())
    data = write_csv(places, make_frame())
    options = parser.parse_args(["new", "demo", "--data", data, "--label", "label", "--ignore", "city", "rooms"])
    assert options.handler(options) == 0
    printed = capsys.readouterr().out
    assert "Ignored: 'rooms': you said so" in printed and "Next: ./trainyard run demo" in printed
    folder = places / "workloads" / "demo"
    assert sorted(p.name for p in folder.iterdir()) == [
        "__init__.py",
        "features.py",
        "model.py",
        "test_demo.py",
        "workload.yaml",
    ]
    assert yaml.safe_load((folder / "workload.yaml").read_text())["owner"] == "ml-platform"
    assert json.loads((places / "schemas" / "demo" / "expectations.json").read_text())["name"] == "demo"


def test_a_rare_class_is_positive_weighed_and_barred_by_what_it_fails(places: pathlib.Path) -> None:
    created = make(places, simple(np.where(np.arange(2000) % 100, "ok", "fraud"), 2000))
    workload = load_workload(created.workload)
    assert (workload.data.label.positive_class, workload.data.split.eval_fraction) == ("fraud", 0.2)
    assert (workload.training.class_weights, workload.training.decision_threshold) == ("balanced", "best_f1")
    auc, auc_pr = workload.evaluation.thresholds
    assert (auc.metric, auc_pr.metric, auc_pr.min) == ("auc", "auc_pr", 0.06)
    classes = [["rare", "big", "small", "big"][min(n % 200, 3)] for n in range(2000)]
    workload = load_workload(make(places, simple(classes, 2000), name="several").workload)
    assert workload.training.class_weights == "balanced" and workload.training.decision_threshold == 0.5
    (bar,) = workload.evaluation.thresholds
    assert bar.metric == "macro_f1" and bar.min is not None and 0.33 < bar.min < 0.4
    even = load_workload(make(places, simple(["a", "b"] * 1000, 2000), name="even").workload)
    assert (even.training.class_weights, even.training.decision_threshold) == ("none", 0.5)
