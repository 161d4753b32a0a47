"""The taxi workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest


@pytest.fixture(scope="module")
def taxi(case: Callable[[str], Any]) -> Any:
    return case("taxi")


def _with(rows: pa.Table, column: str, values: Any) -> pa.Table:
    place = rows.schema.get_field_index(column)
    return rows.set_column(place, column, pa.chunked_array([values]).cast(rows.schema.field(column).type))


def _first(rows: pa.Table, column: str, count: int, value: Any) -> pa.Table:
    """The rows with a column's first values replaced."""
    mask = np.arange(rows.num_rows) < count
    return _with(
        rows, column, pc.if_else(mask, pa.scalar(value, rows.schema.field(column).type), rows[column]).combine_chunks()
    )


@pytest.fixture(scope="module")
def transformed(taxi: Any) -> Any:
    """Span 1, on which the features are analysed, span 2, and four trips with values missing or new."""
    rows = taxi.rows()
    odd = rows.slice(0, 4)
    for column in ("trip_seconds", "pickup_latitude", "dropoff_community_area", "company"):
        odd = _with(odd, column, pa.nulls(4, rows.schema.field(column).type))
    return taxi.transform(rows, taxi.rows(2), _with(odd, "payment_type", pa.array(["Barter"] * 4)))


@pytest.mark.parametrize("span", [1, 2])
def test_both_spans_keep_their_contracts(taxi: Any, span: int) -> None:
    rows = taxi.rows(span)
    assert taxi.anomalies(rows) == {}
    assert taxi.failed_expectations(rows) == []


def test_nothing_that_gives_the_label_away_is_read(taxi: Any) -> None:
    assert "tips" not in taxi.rows().column_names


@pytest.mark.parametrize(
    ("column", "count", "value"),
    [
        ("fare", 1, -1.0),
        ("fare", 1, None),
        ("trip_start_hour", 1, 24),
        ("trip_start_month", 1, 0),
        ("pickup_latitude", 1, -87.6),
        ("dropoff_community_area", 1, 78),
        ("payment_type", 200, "CASH"),
        ("company", 6000, None),
        ("big_tipper", 1, 2),
    ],
)
def test_impossible_values_are_anomalies(taxi: Any, column: str, count: int, value: Any) -> None:
    assert list(taxi.anomalies(_first(taxi.rows(), column, count, value))) == [column]


def test_implausible_values_fail_expectations(taxi: Any) -> None:
    rows = taxi.rows()
    cents = _with(rows, "fare", pc.multiply(rows["fare"], 100.0).combine_chunks())
    minutes = _with(rows, "trip_seconds", pc.divide(rows["trip_seconds"], 60).combine_chunks())
    other_label = _with(rows, "big_tipper", pa.array(np.ones(rows.num_rows)))
    assert "expect_column_mean_to_be_between(fare) critical" in taxi.failed_expectations(cents)
    assert taxi.failed_expectations(minutes) == ["expect_column_median_to_be_between(trip_seconds) critical"]
    assert taxi.failed_expectations(other_label) == ["expect_column_mean_to_be_between(big_tipper) critical"]


def test_missing_and_new_values_become_features(transformed: Any) -> None:
    schema, (known, _, new) = transformed
    assert new["trip_seconds"].tolist() == new["pickup_latitude"].tolist() == [0.0] * 4
    for name in ("payment_type", "company", "dropoff_community_area"):
        size = schema.features[name].vocabulary_size
        assert size is not None and known[name].min() == 0 and known[name].max() < size
        assert (new[name] >= 0).all() and (new[name] < size).all()
    assert all(np.isfinite(values).all() for values in known.values())


def test_the_model_ranks_trips_it_has_not_seen(taxi: Any, transformed: Any) -> None:
    from sklearn.metrics import roc_auc_score

    schema, (older, newer, _) = transformed
    model = taxi.fit(schema, older, taxi.rows(1)["big_tipper"].to_numpy(), epochs=4)
    scores = model.predict(newer, batch_size=4096, verbose=0)
    assert scores.shape == (taxi.rows(2).num_rows, 1)
    # By payment type alone: 0.91.
    assert roc_auc_score(taxi.rows(2)["big_tipper"].to_numpy(), scores[:, 0]) > 0.925
