"""Finds where a suite contradicts a schema: the schema says what must hold, the suite what is expected.

It needs only plain data and TFMD's protos, so that a run can be refused before anything heavy is imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from components.data_quality.suite_format import names_any
from components.schema import known_texts

_KINDS = {schema_pb2.INT: "INT", schema_pb2.FLOAT: "FLOAT", schema_pb2.BYTES: "BYTES"}
_OF_NUMBERS = frozenset(
    f"expect_column_{one}_to_be_between" for one in ("mean", "median", "stdev", "sum", "quantile_values")
) | {"expect_column_value_z_scores_to_be_less_than", "expect_column_values_to_not_be_outliers"}
_BETWEEN = frozenset({"expect_column_values_to_be_between"}) | {
    f"expect_column_{one}_to_be_between" for one in ("min", "max", "mean", "median")
}
_OF_TEXT = ("lengths", "regex", "like_pattern", "strftime", "dateutil", "json")
_SETS = {
    "expect_column_values_to_be_in_set": "be in",
    "expect_column_distinct_values_to_be_in_set": "be in",
    "expect_column_distinct_values_to_contain_set": "contain",
    "expect_column_distinct_values_to_equal_set": "equal",
    "expect_column_most_common_value_to_be_in_set": "be in",
}
# What GX calls the types of the examples; other types are left to GX.
_TYPES = {
    "INT": {"int", "int64", "Int64", "int32", "Int32", "integer", "INTEGER", "BIGINT"},
    "FLOAT": {"float", "float64", "float32", "double", "Float64", "DOUBLE", "FLOAT"},
    "BYTES": {"str", "string", "object", "object_", "bytes", "TEXT", "VARCHAR", "STRING"},
}


@dataclasses.dataclass(frozen=True)
class _Column:
    """What the schema says about a column."""

    name: str
    kind: str
    required: bool
    least: float | None  # share of the rows that must have a value; None: the schema does not speak of it
    values: frozenset[Any] | None  # all that there may be
    low: float | None
    high: float | None


def contradictions(
    expectations: list[dict[str, Any]], schema: schema_pb2.Schema, left_out: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Where a suite's expectations and a schema contradict each other.

    Args:
        expectations: as `read_format` gives them.
        left_out: columns that are not read, and whose expectations are not checked.

    Yields:
        (JSON path, what is wrong and how to mend it)
    """
    columns = {feature.name: _column(feature, schema) for feature in schema.feature}
    for number, one in enumerate(expectations):
        if names_any(one, left_out):
            continue
        place = f"$.expectations[{number}].kwargs"
        for where, why in _of_one(one, columns):
            yield f"{place}{where}", why


def _of_one(one: Mapping[str, Any], columns: Mapping[str, _Column]) -> Iterator[tuple[str, str]]:
    kind, kwargs = one["type"], one["kwargs"]
    exact = kind == "expect_table_columns_to_match_set" and kwargs.get("exact_match", True)
    if exact and (missing := [name for name in columns if name not in (kwargs.get("column_set") or ())]):
        yield ".column_set", f"lacks {missing[0]!r}, which schema.pbtxt has. Add it, or say exact_match false"
    if kind == "expect_table_column_count_to_equal" and kwargs.get("value") not in (None, len(columns)):
        yield ".value", f"is {kwargs['value']}, and schema.pbtxt has {len(columns)} columns. Make them agree"
    column = columns.get(kwargs["column"]) if isinstance(kwargs.get("column"), str) else None
    if column is None or kwargs.get("row_condition"):
        return
    for rule in _RULES:
        yield from rule(one, column)


def _types(one: Mapping[str, Any], column: _Column) -> Iterator[tuple[str, str]]:
    kind, kwargs = one["type"], one["kwargs"]
    says = f"schema.pbtxt says that {column.name!r} is {column.kind}"
    if column.kind == "BYTES" and kind in _OF_NUMBERS:
        yield ".column", f"{kind} is of numbers, and {says}"
    elif column.kind == "BYTES" and kind in _BETWEEN:
        for bound in ("min_value", "max_value"):
            if isinstance(kwargs.get(bound), int | float):
                yield f".{bound}", f"is a number, and {says}. Bound its length, or list its values"
                break
    elif column.kind != "BYTES" and kind.startswith("expect_column_value") and any(word in kind for word in _OF_TEXT):
        yield ".column", f"{kind} is of text, and {says}"
    if kind == "expect_column_values_to_be_of_type" or kind == "expect_column_values_to_be_in_type_list":
        asked = [kwargs["type_"]] if "type_" in kwargs else list(kwargs.get("type_list") or ())
        families = {family for family, names in _TYPES.items() for name in asked if name in names}
        if families and column.kind not in families and all(any(a in n for n in _TYPES.values()) for a in asked):
            yield (".type_" if "type_" in kwargs else ".type_list"), f"asks for {', '.join(asked)}, and {says}"


def _sets(one: Mapping[str, Any], column: _Column) -> Iterator[tuple[str, str]]:
    kind, values = one["type"], one["kwargs"].get("value_set")
    if not isinstance(values, list):
        return
    for nth, value in enumerate(values):
        if value is not None and not isinstance(value, bool) and isinstance(value, str) != (column.kind == "BYTES"):
            yield (
                f".value_set[{nth}]",
                f"is {value!r}, and schema.pbtxt says that {column.name!r} is {column.kind}. "
                f"Write it {'with' if column.kind == 'BYTES' else 'without'} quotes",
            )
            return
    if kind not in _SETS and kind != "expect_column_values_to_not_be_in_set":
        return
    if kind == "expect_column_values_to_not_be_in_set":
        if column.values and column.values <= set(values):
            yield ".value_set", f"refuses every value that schema.pbtxt gives {column.name!r}. Remove those that may be"
        return
    for nth, value in enumerate(values):
        if not _within(value, column):
            yield (
                f".value_set[{nth}]",
                f"is {value!r}, which the domain of {column.name!r} in schema.pbtxt does not hold. "
                "Remove it here, or add it there",
            )
            return


def _within(value: Any, column: _Column) -> bool:
    if column.values is not None:
        return value in column.values
    if isinstance(value, int | float):
        return not (
            (column.low is not None and value < column.low) or (column.high is not None and value > column.high)
        )
    return True


def _ranges(one: Mapping[str, Any], column: _Column) -> Iterator[tuple[str, str]]:
    if one["type"] not in _BETWEEN:
        return
    low, high = one["kwargs"].get("min_value"), one["kwargs"].get("max_value")
    says = f"schema.pbtxt gives {column.name!r}"
    if isinstance(low, int | float) and column.high is not None and low > column.high:
        yield ".min_value", f"is {low:g}, and {says} at most {column.high:g}: it can never hold"
    if isinstance(high, int | float) and column.low is not None and high < column.low:
        yield ".max_value", f"is {high:g}, and {says} at least {column.low:g}: it can never hold"


def _nulls(one: Mapping[str, Any], column: _Column) -> Iterator[tuple[str, str]]:
    kind, mostly = one["type"], one["kwargs"].get("mostly", 1)
    tolerated = (one.get("meta") or {}).get("max_failed_fraction") or 0
    if not isinstance(mostly, int | float):
        return
    if column.least is None:
        return
    if kind == "expect_column_values_to_be_null" and column.least > 1 - mostly:
        yield (
            ".column",
            f"{column.name!r} is to be null, and schema.pbtxt asks for a value in {column.least:.0%} of the rows",
        )
    if kind != "expect_column_values_to_not_be_null":
        return
    critical = one.get("severity", "critical") == "critical"
    if mostly == 1 and not tolerated and critical and not column.required and column.least < 1:
        yield (
            ".column",
            f"{column.name!r} may never be null, and schema.pbtxt makes it optional (min_fraction {column.least:g}). "
            "Give it a `mostly`, or require it there",
        )
    if mostly < 1 and column.required:
        yield (
            ".mostly",
            f"lets {column.name!r} be null in {1 - mostly:.1%} of the rows, and schema.pbtxt requires it in each. "
            "Remove `mostly`, or make it optional there",
        )


_RULES: tuple[Callable[[Mapping[str, Any], _Column], Iterator[tuple[str, str]]], ...] = (
    _types,
    _sets,
    _ranges,
    _nulls,
)


def _column(feature: Any, schema: schema_pb2.Schema) -> _Column:
    required = feature.HasField("shape") or feature.presence.min_fraction == 1.0
    low = high = None
    domain = feature.WhichOneof("domain_info")
    texts = None if domain == "bool_domain" else known_texts(schema, feature)
    if domain in ("int_domain", "float_domain"):
        bounds = getattr(feature, domain)
        low = bounds.min if bounds.HasField("min") else None
        high = bounds.max if bounds.HasField("max") else None
    said = feature.presence.min_fraction if feature.HasField("presence") else None
    least = 1.0 if required else said
    return _Column(
        feature.name,
        _KINDS.get(feature.type, ""),
        required,
        least,
        None if texts is None else frozenset(texts),
        low,
        high,
    )
