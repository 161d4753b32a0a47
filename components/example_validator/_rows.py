"""The rows that prove an anomaly."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from components.columnar import read_split
from components.schema import MASKED, is_personal, known_texts

_SHOWN = 5
_MISSING = {"FEATURE_TYPE_LOW_FRACTION_PRESENT", "FEATURE_TYPE_LOW_NUMBER_PRESENT", "FEATURE_TYPE_NOT_PRESENT"}


def offending_rows(
    feature: schema_pb2.Feature, schema: schema_pb2.Schema, anomalies: Collection[str], split: str, uri: str
) -> list[dict[str, Any]]:
    """The first rows that break a feature's domain, or that lack it where that is the anomaly.

    Args:
        schema: for domains that the feature names.
        anomalies: names of TFMD's `AnomalyInfo.Type` that were found for the feature.

    Returns:
        At most five `{"split", "row", "value"}`, rows counted from 0 in the split; values of a personal column are masked.
        Empty if the column is not there, or nothing of the kind can be told row by row.
    """
    try:
        column = read_split(uri, split, [feature.name]).column(0)
    except (KeyError, pa.ArrowInvalid):
        return []
    mask = _outside_domain(column, feature, schema)
    if _MISSING.intersection(anomalies):
        mask = column.is_null() if mask is None else pc.or_(mask, column.is_null())
    if mask is None:
        return []
    rows = pc.indices_nonzero(mask)[:_SHOWN].to_pylist()
    values = [column[row].as_py() for row in rows]
    if is_personal(feature):
        values = [None if value is None else MASKED for value in values]
    return [{"split": split, "row": row, "value": value} for row, value in zip(rows, values, strict=True)]


def _outside_domain(column: pa.ChunkedArray, feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> Any:
    """A mask, False where the value is missing; None without a domain that single values can break."""
    domain = feature.WhichOneof("domain_info")
    if pa.types.is_nested(column.type) or domain is None:
        return None
    if domain in ("int_domain", "float_domain"):
        limits = getattr(feature, domain)
        broken = [pc.less(column, limits.min)] if limits.HasField("min") else []
        broken += [pc.greater(column, limits.max)] if limits.HasField("max") else []
        broken += [pc.is_inf(column)] if domain == "float_domain" and limits.disallow_inf else []
        return pc.fill_null(functools.reduce(pc.or_, broken), False) if broken else None
    if (known := known_texts(schema, feature)) is None:
        return None
    return pc.and_(pc.invert(pc.is_in(column, pa.array(known, column.type))), column.is_valid())
