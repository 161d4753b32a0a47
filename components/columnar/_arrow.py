"""Converts between plain columns, as in most Parquet files, and list columns, as TFDV and TFT need them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def tfx_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch as TFDV and TFT need it: every column a large_list of int64, float32 or large_binary.

    A null becomes a null list, which is TFX's missing value.
    """
    arrays = [_to_list(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def plain_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The reverse for dense batches: lists of one value become scalars, longer ones fixed-size lists.

    Raises:
        ValueError: the rows of a column have lists of different lengths.
    """
    arrays = [_from_list(name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _value_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float32()
    return pa.large_binary()


def _cast(values: pa.Array) -> pa.Array:
    target = _value_type(values.type)
    if values.type == target:
        return values
    if target == pa.large_binary() and not pa.types.is_binary(values.type):
        return values.cast(pa.large_string()).cast(pa.large_binary())
    return values.cast(target, safe=False)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_text_or_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds texts, or bytes that may be text."""
    return is_text(kind) or bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def list_type(kind: pa.DataType) -> pa.DataType:
    """The type of the list column that `tfx_columns` makes of a column."""
    return pa.large_list(_value_type(kind.value_type if is_list(kind) else kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether a column holds several values a row, however Arrow stores them."""
    is_view = pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind)
    return is_view or pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _to_list(column: pa.Array) -> pa.Array:
    if column.type == list_type(column.type):
        return column
    missing = column.is_null() if column.null_count else None
    if is_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        values = pc.list_flatten(column)
    else:
        lengths = column.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
        values = column.drop_null()
    offsets = np.zeros(len(column) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return pa.LargeListArray.from_arrays(pa.array(offsets), _cast(values), mask=missing)


def _from_list(name: str, column: pa.Array) -> pa.Array:
    if not is_list(column.type):
        return column
    values, inner = column, column.type
    while is_list(inner):  # TFT nests one list per dimension of a tensor
        values = pc.list_flatten(values)
        inner = values.type
    width, rest = divmod(len(values), max(1, len(column)))
    if rest or column.null_count:
        raise ValueError(f"feature {name!r}: rows of different length; make it dense in preprocessing_fn")
    return values if width == 1 else pa.FixedSizeListArray.from_arrays(values, width)
