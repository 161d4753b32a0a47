"""Columns that the schema marks as personal: findings there are counted, and values never shown.

feature { name: "passenger" type: BYTES annotation { tag: "personal" } }
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from components.schema import MASKED

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

# What is kept of a result about a personal column: counts and shares.
_COUNTS = frozenset(
    {
        "element_count",
        "missing_count",
        "missing_percent",
        "unexpected_count",
        "unexpected_percent",
        "unexpected_percent_nonmissing",
        "unexpected_percent_total",
        "partial_unexpected_index_list",
        "unexpected_index_list",
    }
)
# Expectations whose observed value is a figure over all rows, not the value of a single row.
_FIGURES = frozenset(
    {
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_column_mean_to_be_between",
        "expect_column_stdev_to_be_between",
    }
)


def mask(validation: ExpectationSuiteValidationResult, columns_of: Any, personal: Collection[str]) -> None:
    """Removes the values of personal columns from GX's result, in place, so that nothing made from it can show them."""
    for one in validation.results:
        config = one.expectation_config
        if config is None or not personal or not set(columns_of(config)) & set(personal):
            continue
        one.result = masked(one.result, figures=config.type in _FIGURES)
        one.exception_info = _masked_trouble(one.exception_info)


def masked(result: Mapping[str, Any], figures: bool = False) -> dict[str, Any]:
    """A result without values: counts stay, each sampled value becomes a mark."""
    kept = {key: value for key, value in result.items() if key in _COUNTS}
    if "partial_unexpected_list" in result:
        kept["partial_unexpected_list"] = [MASKED] * len(result["partial_unexpected_list"] or [])
    if "observed_value" in result:
        kept["observed_value"] = result["observed_value"] if figures else MASKED
    return kept


def _masked_trouble(info: Any) -> Any:
    """Removes GX's error message, which may quote a value; the kind of error stays."""
    if not isinstance(info, dict):
        return info
    if "raised_exception" not in info:
        return {key: _masked_trouble(value) for key, value in info.items()}
    if not info["raised_exception"]:
        return info
    return {**info, "exception_message": f"{MASKED} (the column is personal)", "exception_traceback": ""}
