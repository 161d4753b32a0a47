"""Sixty expectations on the 18 columns of the taxi data: as many and as varied as a data team writes in a year."""

from __future__ import annotations

from typing import Any

Expectation = dict[str, Any]

_BOUNDS = {
    "fare": (0, 150),
    "trip_miles": (0, 100),
    "trip_seconds": (0, 14_400),
    "trip_start_hour": (0, 23),
    "trip_start_day": (1, 7),
    "trip_start_month": (1, 12),
    "pickup_community_area": (1, 77),
    "dropoff_community_area": (1, 77),
    "pickup_latitude": (41.6, 42.1),
    "pickup_longitude": (-88.0, -87.5),
    "dropoff_latitude": (41.6, 42.1),
    "dropoff_longitude": (-88.0, -87.5),
}
_PRESENT = {
    "company": 0.55,
    "dropoff_community_area": 0.93,
    "dropoff_latitude": 0.93,
    "dropoff_longitude": 0.93,
    "pickup_census_tract": 0.0,
    "dropoff_census_tract": 0.5,
    **dict.fromkeys(("trip_seconds", "pickup_community_area", "pickup_latitude", "pickup_longitude"), 0.99),
}
_ALWAYS = (
    "fare",
    "trip_miles",
    "trip_start_hour",
    "trip_start_day",
    "trip_start_month",
    "trip_start_timestamp",
    "payment_type",
    "big_tipper",
)
_SETS: dict[str, list[Any]] = {
    "payment_type": ["Cash", "Credit Card"],
    "trip_start_day": list(range(1, 8)),
    "trip_start_month": list(range(1, 13)),
    "big_tipper": [0, 1],
}
_MEANS = {
    "fare": (5, 30),
    "trip_miles": (0.5, 10),
    "trip_seconds": (200, 2_000),
    "big_tipper": (0.1, 0.4),
    "pickup_latitude": (41.8, 42.0),
    "pickup_longitude": (-87.8, -87.6),
}
_MEDIANS = {"fare": (4, 20), "trip_miles": (0.2, 5), "trip_seconds": (240, 1_200)}
_QUANTILES = {"fare": [[4, 12], [20, 60]], "trip_seconds": [[240, 1_200], [900, 4_000]]}
_DEVIATIONS = {"fare": (2, 60), "trip_miles": (1, 50)}
_EXTREMES = {"expect_column_min_to_be_between": (1.3e9, 1.4e9), "expect_column_max_to_be_between": (1.4e9, 1.6e9)}
_COUNTS = {"company": (20, 300), "payment_type": (2, 12)}


def expectations() -> list[Expectation]:
    """All sixty, as Great Expectations writes them."""
    between = [
        _one("values_to_be_between", name, min_value=low, max_value=high, mostly=0.99)
        for name, (low, high) in _BOUNDS.items()
    ]
    present = [_one("values_to_not_be_null", name, mostly=share) for name, share in _PRESENT.items()]
    present += [_one("values_to_not_be_null", name) for name in _ALWAYS]
    sets = [_one("values_to_be_in_set", name, value_set=values, mostly=0.97) for name, values in _SETS.items()]
    sets += [
        _one("distinct_values_to_contain_set", "payment_type", value_set=_SETS["payment_type"]),
        _one("distinct_values_to_equal_set", "trip_start_hour", value_set=list(range(24))),
        _one("distinct_values_to_equal_set", "trip_start_day", value_set=_SETS["trip_start_day"]),
    ]
    figures = [
        _one(f"{kind}_to_be_between", name, min_value=low, max_value=high)
        for kind, columns in (("mean", _MEANS), ("median", _MEDIANS), ("stdev", _DEVIATIONS))
        for name, (low, high) in columns.items()
    ]
    figures += [
        _one("quantile_values_to_be_between", name, quantile_ranges={"quantiles": [0.5, 0.95], "value_ranges": ranges})
        for name, ranges in _QUANTILES.items()
    ]
    figures += [
        {"type": kind, "kwargs": {"column": "trip_start_timestamp", "min_value": low, "max_value": high}}
        for kind, (low, high) in _EXTREMES.items()
    ]
    figures += [
        _one("unique_value_count_to_be_between", name, min_value=low, max_value=high)
        for name, (low, high) in _COUNTS.items()
    ]
    texts = [
        _one("value_lengths_to_be_between", "company", min_value=3, max_value=60),
        _one("values_to_match_regex", "company", regex=r"^[\w .,'&-]+$", mostly=0.99),
        _one("values_to_match_regex", "payment_type", regex=r"^[A-Z][A-Za-z ]+$"),
    ]
    rows = [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1_000}},
        {
            "type": "expect_column_pair_values_a_to_be_greater_than_b",
            "kwargs": {
                "column_A": "trip_seconds",
                "column_B": "trip_miles",
                "or_equal": True,
                "ignore_row_if": "either_value_is_missing",
                "mostly": 0.95,
            },
        },
        {
            "type": "expect_compound_columns_to_be_unique",
            "kwargs": {
                "column_list": ["trip_start_timestamp", "fare", "pickup_latitude", "pickup_longitude"],
                "ignore_row_if": "any_value_is_missing",
                "mostly": 0.5,
            },
        },
    ]
    return [*between, *present, *sets, *figures, *texts, *rows]


def _one(what: str, column: str, **kwargs: Any) -> Expectation:
    return {"type": f"expect_column_{what}", "kwargs": {"column": column, **kwargs}}
