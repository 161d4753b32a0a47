"""Metrics by Arrow must lead GX's expectations to what GX's own pandas engine leads them to."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import great_expectations as gx
import numpy as np
import pyarrow as pa
import pytest

from components.columnar import SplitWriter, read_split
from components.data_quality import _running
from components.data_quality._batch import Batch
from components.data_quality._suite import read_suite
from components.data_quality.judging import plain

EXPECTATIONS: list[tuple[str, dict[str, Any]]] = [
    ("expect_table_row_count_to_be_between", {"min_value": 50}),
    ("expect_column_values_to_not_be_null", {"column": "fare"}),
    ("expect_column_values_to_not_be_null", {"column": "fare", "mostly": 0.5}),
    ("expect_column_values_to_be_between", {"column": "fare", "min_value": 0.1, "max_value": 90}),
    ("expect_column_values_to_be_between", {"column": "fare", "min_value": 0, "strict_min": True, "mostly": 0.99}),
    ("expect_column_values_to_be_between", {"column": "seats", "max_value": 3}),
    ("expect_column_values_to_be_in_set", {"column": "seats", "value_set": [1, 2, 3]}),
    ("expect_column_values_to_be_in_set", {"column": "seats", "value_set": [1.0, 2.5]}),
    ("expect_column_values_to_be_in_set", {"column": "payment", "value_set": ["Cash", "Card"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "payment", "value_set": ["Bitcoin"]}),
    ("expect_column_values_to_match_regex", {"column": "id", "regex": r"^trip-\w+$"}),
    ("expect_column_values_to_be_unique", {"column": "id"}),
    ("expect_column_values_to_be_unique", {"column": "seats"}),
    ("expect_column_value_lengths_to_be_between", {"column": "payment", "min_value": 4, "max_value": 5}),
    ("expect_column_mean_to_be_between", {"column": "fare", "min_value": 0, "max_value": 30}),
    ("expect_column_median_to_be_between", {"column": "seats", "min_value": 2, "max_value": 2.5}),
    (
        "expect_column_quantile_values_to_be_between",
        {
            "column": "fare",
            "quantile_ranges": {"quantiles": [0.1, 0.5, 0.9], "value_ranges": [[0, 9], [1, 20], [1, 5]]},
        },
    ),
    ("expect_column_stdev_to_be_between", {"column": "fare", "min_value": 1}),
    ("expect_column_max_to_be_between", {"column": "fare", "max_value": 10}),
    ("expect_column_min_to_be_between", {"column": "seats", "min_value": 1}),
    ("expect_column_unique_value_count_to_be_between", {"column": "payment", "min_value": 2, "max_value": 2}),
    ("expect_column_distinct_values_to_contain_set", {"column": "payment", "value_set": ["Cash", "Gold"]}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "payment", "value_set": ["Cash"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "seats", "value_set": [1, 2, 3, 4]}),
]
_COMPARED = (
    "element_count",
    "missing_count",
    "unexpected_count",
    "unexpected_percent",
    "partial_unexpected_list",
    "partial_unexpected_index_list",
)


def make(rows: int) -> pa.Table:
    random = np.random.default_rng(1)
    return pa.table(
        {
            "fare": pa.array(np.round(random.gamma(2, 8, rows), 1), mask=random.random(rows) < 0.1),
            "seats": pa.array(random.integers(1, 5, rows), mask=random.random(rows) < 0.1),
            "payment": pa.array(random.choice(np.array(["Cash", "Card", "Bitcoin"], dtype=object), rows)),
            "id": pa.array([f"trip-{i if i % 17 else 'ä'}" for i in range(rows)]),
        }
    )


def nothing(rows: int) -> pa.Table:
    table = make(rows)
    return pa.table([pa.nulls(rows, field.type) for field in table.schema], schema=table.schema)


@pytest.fixture
def suite(tmp_path: pathlib.Path) -> gx.ExpectationSuite:
    path = tmp_path / "expectations.json"
    expectations = [{"type": kind, "kwargs": kwargs} for kind, kwargs in EXPECTATIONS]
    path.write_text(json.dumps({"name": "both", "expectations": expectations}))
    return read_suite(path, frozenset())


def batch_of(folder: pathlib.Path, table: pa.Table) -> Batch:
    with SplitWriter(folder, "train", table.schema) as writer:
        for one in table.to_batches():
            writer.write(one)
    return Batch(str(folder), ["train"])


@pytest.mark.parametrize("table", [make(300), make(1), make(0), nothing(40)], ids=["many", "one", "none", "nulls"])
def test_arrow_and_pandas_agree(tmp_path: pathlib.Path, suite: gx.ExpectationSuite, table: pa.Table) -> None:
    batch = batch_of(tmp_path / "examples", table)
    ours = _running._by_arrow(suite, batch)
    theirs = _running._by_pandas(suite, batch, range(len(EXPECTATIONS)))
    if table.num_rows == 300:
        assert len(ours) >= len(EXPECTATIONS) - 1  # all but the set of another type than the column
    for place, one in ours.items():
        kind = EXPECTATIONS[place]
        assert one.success == theirs[place].success, kind
        if "distinct_values" in kind[0]:  # GX has them in the order of a set
            for key in ("partial_missing_list", "partial_unexpected_list"):
                told, known = (set(both.result.get(key) or ()) for both in (one, theirs[place]))
                assert told == known, (kind, key)
            continue
        for key in _COMPARED:
            assert plain(one.result.get(key)) == pytest.approx(plain(theirs[place].result.get(key))), (kind, key)
        found, known = one.result.get("observed_value"), theirs[place].result.get("observed_value")
        if isinstance(found, dict):  # quantiles and their values
            assert found["values"] == pytest.approx(known["values"], rel=1e-5), kind
        if isinstance(found, float) and found == found:
            assert found == pytest.approx(float(known), rel=1e-5), kind


def test_plain_great_expectations_gives_the_same_verdicts(tmp_path: pathlib.Path, suite: gx.ExpectationSuite) -> None:
    """Somebody with nothing but GX and pandas reads the suite and the Parquet."""
    batch = batch_of(tmp_path / "examples", make(300))
    ours = _running.validate(suite, batch)
    raw = json.loads((tmp_path / "expectations.json").read_text())
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    definition = (
        context.data_sources.add_pandas("any").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    )
    frame = read_split(str(tmp_path / "examples"), "train").to_pandas()
    for place, one in enumerate(raw["expectations"]):
        theirs = definition.get_batch({"dataframe": frame}).validate(
            gx.ExpectationSuite(name="one", expectations=[one])
        )
        assert theirs.success == ours.results[place].success, one
