"""Columns that workload.yaml names: every field is held against the schema, and what data.ignore leaves out is passed over."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from pipelines import columns
from spec.workload import Use, Workload, WorkloadError, named_columns

WHERE = pathlib.Path("workload.yaml")
SCHEMA = "\n".join(
    f'feature {{ name: "{name}" type: FLOAT presence {{ min_fraction: 1 min_count: 1 }} }}'
    for name in ("y", "Amount", "city", "at", "debug_a", "debug_b")
)


@pytest.fixture(autouse=True)
def schema(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    folder = tmp_path / "schemas" / "w"
    folder.mkdir(parents=True)
    (folder / "schema.pbtxt").write_text(SCHEMA)
    monkeypatch.setenv("TRAINYARD_SCHEMAS", str(folder.parent))
    return folder / "schema.pbtxt"


def workload(**sections: Any) -> Workload:
    data = {"label": {"column": "y"}, **sections.pop("data", {})}
    return Workload.model_validate({"name": "w", "task": "binary", "data": data, **sections})


# One of each field that names a column: what it is for decides what becomes of a name that is wrong.
NEEDED = {
    "data.label.column": {"data": {"label": {"column": "nope"}}},
    "data.split.key": {"data": {"split": {"key": "nope"}}},
    "data.split.time": {"data": {"split": {"time": "nope"}}},
    "data.query": {"task": "ranking", "data": {"query": "nope"}},
    "evaluation.thresholds[0].slice": {"evaluation": {"thresholds": [{"metric": "auc", "min": 0.5, "slice": "nope"}]}},
}
LOOKED_AT = {
    "evaluation.slices[1]": {"evaluation": {"slices": ["city", "nope"]}},
    "quality.keys[0]": {"quality": {"keys": ["nope"]}},
    "quality.drift.columns.nope": {"quality": {"drift": {"columns": {"nope": {}}}}},
    "quality.drift.slices[0]": {"quality": {"drift": {"slices": ["nope"]}}},
    "quality.skew.columns.nope": {"quality": {"skew": {"columns": {"nope": {}}}}},
}


@pytest.mark.parametrize("field", [*NEEDED, *LOOKED_AT])
def test_a_column_that_is_not_there_is_named_with_its_field(field: str) -> None:
    with pytest.raises(WorkloadError) as error:
        columns.fit(workload(**{**NEEDED, **LOOKED_AT}[field]), WHERE)
    assert f"workload.yaml, field {field}: schema.pbtxt has no column 'nope'." in str(error.value)
    assert "Known: y, Amount, city, at, debug_a, debug_b." in str(error.value)


def test_the_list_above_has_every_field() -> None:
    """A field that names a column has a type that says so: one that this test does not know is to be added above."""
    everything = workload(
        task="ranking",
        data={"query": "city", "split": {"key": "city"}},
        evaluation={"slices": ["city", "city"], "thresholds": [{"metric": "map", "min": 0.5, "slice": "city"}]},
        quality={
            "keys": ["city"],
            "drift": {"columns": {"nope": {}}, "slices": ["city"]},
            "skew": {"columns": {"nope": {}}},
        },
        batch={"keys": ["city"]},
    )
    found = {one.field for one in named_columns(everything)}
    assert found | {"data.split.time"} == {*NEEDED, *LOOKED_AT, "batch.keys[0]", "evaluation.slices[0]"}


def test_a_near_name_is_asked_about() -> None:
    with pytest.raises(WorkloadError, match=r"no column 'amount'\. Did you mean 'Amount'\?"):
        columns.fit(workload(evaluation={"slices": ["amount"]}), WHERE)


def test_what_is_left_out_is_passed_over_where_it_is_only_looked_at() -> None:
    fitted, notes = columns.fit(
        workload(
            data={"ignore": ["city", "debug_*", "*"]},
            evaluation={"slices": ["city", "at", "debug_a"]},
            quality={"drift": {"columns": {"city": {}, "at": {}}}},
        ),
        WHERE,
    )
    assert fitted.evaluation.slices == ("at",)
    assert list(fitted.quality.drift.columns) == ["at"]
    assert notes[0] == "not read, as data.ignore says: city, debug_a, debug_b"
    assert "evaluation.slices[2]: 'debug_a' is not looked at, because data.ignore leaves it out" in notes


@pytest.mark.parametrize("field", ["data.label.column", "data.split.key", "evaluation.thresholds[0].slice"])
def test_what_is_needed_cannot_be_left_out(field: str) -> None:
    sections = {**NEEDED[field], "data": {**NEEDED[field].get("data", {}), "ignore": ["city"]}}
    text = workload(**sections).model_dump_json().replace("nope", "city")
    with pytest.raises(WorkloadError, match=r"is left out by data\.ignore, and needed here"):
        columns.fit(Workload.model_validate_json(text), WHERE)


def test_columns_of_the_files_need_not_be_in_the_schema() -> None:
    columns.fit(workload(batch={"keys": ["row_id"]}, data={"ignore": ["row_*"]}), WHERE)
    columns.fit(workload(data={"split": {"column": "part"}}), WHERE)
    with pytest.raises(WorkloadError, match=r"batch.keys\[0\]: column 'row_id' is neither in schema.pbtxt nor in"):
        columns.fit(workload(batch={"keys": ["row_id"]}), WHERE)
    with pytest.raises(
        WorkloadError, match=r"data.split.column: column 'city' is in schema.pbtxt, and would be a feat"
    ):
        columns.fit(workload(data={"split": {"column": "city"}}), WHERE)


def test_every_use_says_what_it_is() -> None:
    assert {one.use for one in named_columns(workload(data={"split": {"column": "part"}}))} == {Use.NEEDED, Use.ASIDE}
