"""A row number is one whatever it is called; what is measured in whole units is none, however well it is sorted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.scaffold.row_numbers import is_called_identifier, is_row_number

ROWS = 200
_UPWARDS = np.arange(1, ROWS + 1)
_WITH_GAPS = np.delete(np.arange(ROWS + 40), np.arange(3, 120, 3))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rownum", _UPWARDS),
        ("zeile", _UPWARDS - 1),
        ("n", _UPWARDS[::-1]),
        ("x", _WITH_GAPS),
        ("x", _WITH_GAPS[::-1]),
        ("x", np.random.default_rng(1).permutation(_UPWARDS)),
        ("x", _UPWARDS.astype(float)),
        ("x", 1000 + np.arange(2 * ROWS)),
        ("Unnamed: 0", _UPWARDS + 5000),
        ("customer id", np.random.default_rng(1).permutation(_UPWARDS) + 10**15),
    ],
)
def test_row_numbers(name: str, values: np.ndarray) -> None:
    assert is_row_number(name, pa.chunked_array([pa.array(values)]))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", 1821 + np.arange(ROWS)),
        ("x", 1821 + np.arange(ROWS)),  # nobody numbers rows from there
        ("elapsed time", np.arange(ROWS)),
        ("rank", _UPWARDS),
        ("x", np.sort(np.random.default_rng(1).integers(0, 50 * ROWS, ROWS))),
        ("price", np.cumsum(np.random.default_rng(1).integers(1, 3, ROWS))),
        ("x", np.repeat(np.arange(ROWS // 2), 2)),
        ("x", _UPWARDS + 0.5),
        ("x", np.where(_UPWARDS == 7, None, _UPWARDS)),
    ],
)
def test_amounts_stay(name: str, values: np.ndarray) -> None:
    assert not is_row_number(name, pa.chunked_array([pa.array(values)]))


_FAR_APART = 154 * 10**16 + np.random.default_rng(1).permutation(_UPWARDS) * 515


@pytest.mark.parametrize(
    "name", ["id", "tweet_id", "Tweet ID", "customerId", "UUID", "user.id", "rownames", "Unnamed: 0"]
)
def test_numbers_far_apart_number_the_rows_where_the_name_says_so(name: str) -> None:
    assert is_row_number(name, pa.chunked_array([pa.array(_FAR_APART)]))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("user_id", np.repeat(_FAR_APART, 2)),
        ("tweet_id", np.where(_UPWARDS == 7, None, _FAR_APART)),
        ("liquid", _FAR_APART),
        ("paid", _FAR_APART),
        ("followers", _FAR_APART),
    ],
)
def test_what_numbers_no_rows(name: str, values: np.ndarray) -> None:
    assert not is_row_number(name, pa.chunked_array([pa.array(values)]))


@pytest.mark.parametrize(
    ("name", "called"), [("movieId", True), ("User ID ", True), ("paid", False), ("PAID", False), ("grid", False)]
)
def test_names_of_identifiers(name: str, called: bool) -> None:
    assert is_called_identifier(name) == called
