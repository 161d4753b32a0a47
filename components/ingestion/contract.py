"""What the schema says about the files: types, which columns must be there, which values must not be missing."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from components.ingestion.formatted_numbers import Style, style
from components.ingestion.rewriting import Rewrite, rewrite_of
from components.schema import booleans_of, has_lists, is_ignored, time_format_of
from spec.errors import InputError
from spec.words import some_of
from spec.workload import Read

_MOST_NAMES = 40  # that fit into one line
_TYPES = {schema_pb2.INT: pa.int64(), schema_pb2.FLOAT: pa.float64(), schema_pb2.BYTES: pa.string()}


# What to write into schema.pbtxt, literally: a feature with a shape needs its values, whatever its presence says.
NULLABLE = "`presence { min_fraction: 0.9 } value_count { min: 1 max: 1 }` in place of `shape {}`"
OPTIONAL = "`presence {} value_count { min: 1 max: 1 }` in place of `shape {}`"


@dataclasses.dataclass(frozen=True)
class Column:
    """One column that the schema asks for."""

    name: str
    type: pa.DataType
    required: bool  # each row must have a value
    optional: bool  # the whole column may be absent
    rewrite: Rewrite | None = None  # to one spelling of each value; None: values stay as they are
    missing: tuple[str, ...] = ()  # texts that mean that a value is missing, besides the empty one
    style: Style | None = None  # how its numbers are written, where Arrow cannot read them
    keeps: bool = False  # rows without a value here are dropped, so their other values are not checked
    separator: str = ""  # between the values of a list that files write as one text

    @property
    def written(self) -> pa.DataType:
        """The type that files have it in."""
        return pa.string() if self.separator else self.type

    @property
    def expected(self) -> str:
        """What a value has to be, for messages."""
        return self.rewrite.expected if self.rewrite else str(self.type)


def columns_of(schema: schema_pb2.Schema) -> list[Column]:
    """The columns of a TFMD schema, in its order.

    A feature with a fixed shape is required in each row; one with `min_fraction` 0 or no presence may be absent altogether.
    A BYTES feature with an `image_domain` stays bytes, others are text.
    """
    return [_column(feature) for feature in schema.feature if feature.lifecycle_stage != schema_pb2.DEPRECATED]


def columns_as_read(columns: Sequence[Column], reading: Read) -> list[Column]:
    """The columns with what `reading` says of each: which texts mean a missing value, and how numbers are written."""
    return [
        dataclasses.replace(column, missing=reading.missing(column.name), style=_style(column, reading))
        for column in columns
    ]


def _style(column: Column, reading: Read) -> Style | None:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return None
    if column.name in reading.numbers:
        return style(reading.numbers[column.name])
    return Style(reading.decimal, reading.thousands) if (reading.decimal, reading.thousands) != (".", "") else None


def _column(feature: Any) -> Column:
    kind = _TYPES[feature.type]
    if feature.type == schema_pb2.BYTES and feature.HasField("image_domain"):
        kind = pa.binary()
    dims = [d.size for d in feature.shape.dim] if feature.HasField("shape") else []
    if dims or has_lists(feature):
        kind = pa.list_(kind)
    required = feature.HasField("shape") or feature.presence.min_fraction == 1.0
    rewrite = rewrite_of(time_format_of(feature), booleans_of(feature)) if kind == pa.string() else None
    return Column(feature.name, kind, required, not required and feature.presence.min_fraction == 0, rewrite)


def check_header(
    file: str | os.PathLike[str], names: Collection[str], columns: list[Column], extra: Collection[str] | None
) -> None:
    """Raises InputError if columns are duplicated, missing or unknown.

    Args:
        extra: names, and patterns like `pixel_*`, of columns that may be there too; None: any may.
    """
    present = set(names)
    if len(present) < len(names):
        doubled = next(name for name, count in collections.Counter(names).items() if count > 1)
        raise InputError(f"column {doubled!r} appears twice. Rename or remove one.", file=file)
    missing = [c.name for c in columns if not c.optional and c.name not in present]
    if missing:
        raise InputError(
            f"column {missing[0]!r} is missing{_and_more(missing)}. Received: {some_of(list(names), _MOST_NAMES)}. "
            f"Deliver it, or say in schema.pbtxt that it may be absent: {OPTIONAL}.",
            file=file,
        )
    if extra is None:
        return
    known = {c.name for c in columns}
    unknown = [name for name in names if name not in known and not is_ignored(name, extra)]
    if unknown:
        raise InputError(
            f"column {unknown[0]!r} is not in the schema{_and_more(unknown)}. "
            "Add it to schema.pbtxt, or to data.ignore in workload.yaml (a pattern like 'prefix_*' or '*' will do).",
            file=file,
        )


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
