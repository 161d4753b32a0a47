"""The label on its way in: how its classes may be written, and the rows that have none."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from components.ingestion.contract import Column
from components.ingestion.rewriting import Spellings
from components.schema import classes_of


def with_label(
    columns: Sequence[Column],
    schema: schema_pb2.Schema,
    label: str | None,
    merge_spellings: bool,
    drop_unlabelled: bool,
) -> list[Column]:
    """The columns with the label read as the workload says.

    Args:
        columns: of the schema.
        schema: names the classes.
        label: the label's column; None without one.
        merge_spellings: whether `YES` and `yes ` are the class `yes`.
        drop_unlabelled: whether a row may come without a label; `labelled` leaves it out then.
    """

    def read(column: Column) -> Column:
        rewrite = column.rewrite
        if merge_spellings and rewrite is None:
            rewrite = Spellings(tuple(classes_of(schema, column.name)))
        required = column.required and not drop_unlabelled
        return dataclasses.replace(column, rewrite=rewrite, required=required, keeps=drop_unlabelled)

    return [read(column) if column.name == label else column for column in columns]


def labelled(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Which values of a label's column are one: not missing, and not merely spaces."""
    present = pc.is_valid(values)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return present
    blank = pc.equal(pc.utf8_trim_whitespace(values), "")
    return pc.and_not(present, pc.fill_null(blank, False))
