"""Reading the label: how its classes may be written, and rows without one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from components.columnar import is_text
from components.ingestion.contract import Column
from components.ingestion.rewriting import Spellings
from components.schema import classes_of
from spec.errors import InputError
from spec.workload import Label


def with_label(columns: Sequence[Column], schema: schema_pb2.Schema, label: Label) -> list[Column]:
    """The columns of a schema, with the label read as the workload says.

    Where rows without a label are dropped, the column is optional; `labelled` finds the rows to keep.

    Raises:
        InputError: a separator for a column of single values.
    """

    def read(column: Column) -> Column:
        if label.separator and not pa.types.is_list(column.type):
            raise InputError(
                f"data.label.separator: schema.pbtxt gives {column.name!r} one value a row. Received: {label.separator!r}. Say "
                "`presence { min_fraction: 1.0 } value_count {}` in place of `shape {}`, or remove the separator."
            )
        rewrite = column.rewrite
        if label.merge_spellings and rewrite is None:
            rewrite = Spellings(tuple(classes_of(schema, label.column)))
        required = column.required and not label.drop_unlabelled
        return dataclasses.replace(
            column,
            rewrite=rewrite,
            required=required,
            keeps=label.drop_unlabelled,
            separator=label.separator,
        )

    return [read(column) if column.name == label.column else column for column in columns]


def labelled(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Which values of a label's column are labels: not missing, and not just spaces."""
    present = pc.is_valid(values)
    if not is_text(values.type):
        return present
    blank = pc.equal(pc.utf8_trim_whitespace(values), "")
    return pc.and_not(present, pc.fill_null(blank, False))
