"""Facts about a column's values that an expectation could use: exact, over all rows, by Arrow."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema import is_personal, known_texts, time_format_of

FEW_VALUES = 20  # at most so many different values count as a closed set
_ROWS_A_VALUE = 10  # fewer rows per value than this say nothing about the value
_FREQUENT = 0.05
_MOST_FREQUENT = 8
_KINDS = {schema_pb2.INT: "INT", schema_pb2.FLOAT: "FLOAT", schema_pb2.BYTES: "BYTES"}
_TIMES = re.compile(r"(^|_)(time|timestamp|date|datetime|day|ts|at|epoch)(_|$)")
_KEYS = re.compile(r"(.*[\W_])?(id|key|uuid|guid|number|no|nr|code)$")
FORMATS = {
    "a day such as 2026-12-31": r"^\d{4}-\d{2}-\d{2}$",
    "a time such as 2026-12-31T23:59:59": r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$",
    "a UUID": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "an e-mail address": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "digits": r"^\d+$",
}


@dataclasses.dataclass(frozen=True)
class Facts:
    """One column.

    Attributes:
        kind: INT, FLOAT or BYTES.
        missing: rows without a value, NaN included.
        required: by the schema, in each row.
        least_present: the share of the rows that the schema asks for.
        personal: by the schema; its values are not to be written down.
        share: the mean of numbers that are 0 or 1.
        quartiles: 25 %, 50 % and 75 % of the numbers lie below.
        values: all of them where they are few, sorted; else ().
        frequent: values of at least a twentieth of the rows, most frequent first.
        domain: the schema's closed set; None where it has none.
        bounds: the schema's least and greatest number.
        form: how all texts are written, by FORMATS; "": in no one way.
        dates: the first and the last, in ISO 8601, where the schema says that there are dates.
        increasing: whether each number is at least the one before it.
        is_time: whether the numbers go on growing from span to span.
        is_key: whether each row has a value of its own, and the name says that it should.
    """

    name: str
    kind: str
    rows: int
    missing: int = 0
    required: bool = False
    least_present: float = 0.0
    personal: bool = False
    distinct: int = 0
    low: int | float | None = None
    high: int | float | None = None
    quartiles: tuple[float, float, float] | None = None
    share: float | None = None
    values: tuple[Any, ...] = ()
    frequent: tuple[Any, ...] = ()
    domain: tuple[str, ...] | None = None
    bounds: tuple[float | None, float | None] = (None, None)
    longest: int = 0
    shortest: int = 0
    form: str = ""
    dates: tuple[str, str] | None = None
    increasing: bool = False
    is_time: bool = False
    is_key: bool = False

    @property
    def closed(self) -> tuple[Any, ...]:
        """The permitted values; empty where new ones are to be expected, as with dates and addresses."""
        if self.domain is not None:
            return self.domain
        if self.dates is not None:
            return ()
        return self.values if self.form in ("", "digits") else ()

    @property
    def present(self) -> float:
        """Share of the rows that have a value."""
        return 1 - self.missing / self.rows if self.rows else 0.0


def look(rows: pa.Table, schema: schema_pb2.Schema, keys: Collection[str] = ()) -> tuple[Facts, ...]:
    """Describes the schema's columns as they are in some rows.

    Args:
        rows: of the schema's types; lists and structs are not looked into.
        keys: columns that are to be unique if they are.
    """
    places = {name: place for place, name in enumerate(rows.column_names)}  # Arrow builds the list on each access
    return tuple(
        _look(rows.column(places[feature.name]), feature, schema, keys)
        for feature in schema.feature
        if feature.name in places and feature.lifecycle_stage != schema_pb2.DEPRECATED
    )


def _look(column: pa.ChunkedArray, feature: Any, schema: schema_pb2.Schema, keys: Collection[str]) -> Facts:
    rows, kind = len(column), _KINDS[feature.type]
    required = feature.HasField("shape") or feature.presence.min_fraction == 1.0
    domain = known_texts(schema, feature)
    told = Facts(
        name=feature.name,
        kind=kind,
        rows=rows,
        missing=column.null_count,
        required=required,
        least_present=1.0 if required else feature.presence.min_fraction,
        personal=is_personal(feature),
        domain=None if domain is None else tuple(domain),
        bounds=_bounds(feature),
    )
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return told
    values = column.filter(pc.invert(pc.is_null(column, nan_is_null=True)))
    told = dataclasses.replace(told, missing=rows - len(values))
    if not len(values):
        return told
    told = dataclasses.replace(told, **_counted(values, rows))
    unique = told.distinct == rows and not told.missing and rows >= 20
    told = dataclasses.replace(
        told, is_key=unique and kind != "FLOAT" and (told.name in keys or bool(_KEYS.match(told.name.lower())))
    )
    if time_format_of(feature):
        spread = pc.min_max(values).as_py()  # ISO 8601 sorts as text
        told = dataclasses.replace(told, dates=(spread["min"], spread["max"]))
    return dataclasses.replace(told, **(_of_text(values) if kind == "BYTES" else _of_numbers(values, told)))


def _bounds(feature: Any) -> tuple[float | None, float | None]:
    domain = feature.WhichOneof("domain_info")
    if domain not in ("int_domain", "float_domain"):
        return None, None
    said = getattr(feature, domain)
    return (said.min if said.HasField("min") else None, said.max if said.HasField("max") else None)


def _counted(values: pa.ChunkedArray, rows: int) -> dict[str, Any]:
    counted = values.value_counts()
    distinct = len(counted)
    few = distinct <= FEW_VALUES and rows >= _ROWS_A_VALUE * distinct
    # Only frequent values, or all where there are few, become Python objects.
    wanted = pc.greater_equal(counted.field("counts"), 1 if few else _FREQUENT * rows)
    pairs = [(one["values"], one["counts"]) for one in counted.filter(wanted).to_pylist()]
    frequent = sorted((pair for pair in pairs if pair[1] >= _FREQUENT * rows), key=lambda pair: (-pair[1], pair[0]))
    return {
        "distinct": distinct,
        "values": tuple(sorted(value for value, _ in pairs)) if few else (),
        "frequent": tuple(value for value, _ in frequent[:_MOST_FREQUENT]),
    }


def _of_numbers(values: pa.ChunkedArray, told: Facts) -> dict[str, Any]:
    numbers = values.to_numpy()  # exact for whole numbers: no detour through doubles, which have 53 bits
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return {}
    increasing = len(numbers) >= 100 and told.distinct > FEW_VALUES and bool(np.all(numbers[1:] >= numbers[:-1]))
    epoch = bool(numbers.min() >= 5e8) and told.kind == "INT" and bool(_TIMES.search(told.name.lower()))
    low, middle, high = (float(one) for one in np.quantile(numbers, [0.25, 0.5, 0.75]))
    return {
        "low": numbers.min().item(),
        "high": numbers.max().item(),
        "quartiles": (low, middle, high),
        "share": float(numbers.mean()) if set(np.unique(numbers)) == {0.0, 1.0} else None,
        "increasing": increasing,
        "is_time": increasing or epoch,
    }


def _of_text(values: pa.ChunkedArray) -> dict[str, Any]:
    lengths = pc.min_max(pc.utf8_length(values)).as_py()
    form = ""
    if len(values) >= 20:
        matching = (name for name, regex in FORMATS.items() if pc.all(pc.match_substring_regex(values, regex)).as_py())
        form = next(matching, "")
    return {"longest": int(lengths["max"]), "shortest": int(lengths["min"]), "form": form}
