from __future__ import annotations

import pickle

import pytest

from spec.errors import InputError
from spec.workload import WorkloadError


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({}, "is wrong."),
        ({"file": "a.csv"}, "a.csv: is wrong."),
        ({"file": "a.csv", "row": 3, "column": "fare"}, "a.csv, row 3, column 'fare': is wrong."),
        ({"file": "a.csv", "line": 5, "row": 3}, "line 5 of a.csv, row 3: is wrong."),
        ({"file": "workload.yaml", "field": "data.uri"}, "workload.yaml, field data.uri: is wrong."),
    ],
)
def test_the_place_is_said_once_and_before_the_problem(place: dict, said: str) -> None:
    error = InputError("is wrong.", **place)
    assert str(error) == said
    assert {name: getattr(error, name) for name in place} == place


def test_an_error_about_a_copy_is_about_the_original() -> None:
    error = InputError("the file a.csv is wrong.", file="/tmp/x/a.csv", row=3)
    assert (
        str(error.renamed("/tmp/x/a.csv", "s3://bucket/a.csv")) == "s3://bucket/a.csv, row 3: the file a.csv is wrong."
    )
    assert error.renamed("/tmp/x/b.csv", "s3://bucket/b.csv") is error


def test_a_process_hands_an_error_on_with_its_place() -> None:
    sent = pickle.loads(pickle.dumps(InputError("is wrong.", file="a.csv", row=3)))
    assert (str(sent), sent.file, sent.row) == ("a.csv, row 3: is wrong.", "a.csv", 3)


def test_a_workload_says_each_problem_on_a_line_of_its_own() -> None:
    problems = [InputError("is wrong.", file="workload.yaml", field=name) for name in ("task", "name")]
    error = WorkloadError.of(problems)
    assert str(error).splitlines() == [str(one) for one in problems] and error.field == "task"
