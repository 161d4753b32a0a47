"""The digits workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest


@pytest.fixture(scope="module")
def digits(case: Callable[[str], Any]) -> Any:
    return case("digits")


def _with(rows: pa.Table, column: str, values: Any) -> pa.Table:
    place = rows.schema.get_field_index(column)
    return rows.set_column(place, column, pa.array(values, rows.schema.field(column).type))


def test_the_data_keeps_its_contracts(digits: Any) -> None:
    assert digits.anomalies(digits.rows()) == {}
    assert digits.failed_expectations(digits.rows()) == []


def test_impossible_values_are_anomalies(digits: Any) -> None:
    rows = digits.rows()
    pixels = rows["pixels"].to_pylist()
    assert list(digits.anomalies(_with(rows, "pixels", [[255.0] * 64, *pixels[1:]]))) == ["pixels"]
    assert list(digits.anomalies(_with(rows, "pixels", [pixels[0][:63], *pixels[1:]]))) == ["pixels"]
    assert list(digits.anomalies(_with(rows, "label", [10, *rows["label"].to_pylist()[1:]]))) == ["label"]


def test_a_digit_that_is_not_there_fails_the_expectations(digits: Any) -> None:
    rows = digits.rows()
    without_nine = rows.filter(np.asarray(rows["label"]) != 9)
    assert "expect_column_distinct_values_to_equal_set(label) critical" in digits.failed_expectations(without_nine)


def test_the_model_reads_digits_and_is_the_same_each_time(digits: Any) -> None:
    rows = digits.rows()
    labels = rows["label"].to_numpy()
    schema, features = digits.vectors(rows)
    assert features["pixels"].shape == (1797, 64) and features["pixels"].max() == 1.0
    train = {"pixels": features["pixels"][:1400]}, labels[:1400]
    first, second = (digits.fit(schema, *train, epochs=8) for _ in range(2))
    answers = first.predict({"pixels": features["pixels"][1400:]}, verbose=0)
    # The last quarter was written by people who wrote nothing of the rest.
    assert (answers.argmax(axis=1) == labels[1400:]).mean() > 0.9
    np.testing.assert_array_equal(answers, second.predict({"pixels": features["pixels"][1400:]}, verbose=0))
