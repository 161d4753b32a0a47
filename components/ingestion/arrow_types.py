"""How each of Arrow's types becomes the schema's INT, FLOAT or BYTES without losing a digit.

| Arrow type | INT | FLOAT | BYTES (text) |
|---|---|---|---|
| int8 to int64, uint8 to uint64 | the number, if it fits 64 bits with a sign | the nearest | digits |
| half, float, double | if whole; NaN is missing | the number; NaN is missing | shortest decimals |
| decimal128, decimal256 | if whole | the nearest | digits |
| bool | 0 or 1 | 0 or 1 | `true` or `false` |
| date, timestamp | microseconds since 1970 | - | ISO 8601 |
| time, duration | microseconds | - | `23:59:59`; the count |
| string, large_string, string_view | if they are digits | if it is a number | the text |
| binary in all its forms | if they are digits | if it is a number | UTF-8 text |
| null | missing | missing | missing |

Dictionaries, run-end encoding and extension types are taken for what they encode. Lists are vectors (`shape` in schema.pbtxt).
Structs, maps, unions and intervals cannot be a column's values: they are refused in one line.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import is_list

# What Arrow raises for a value or a type that it cannot convert.
NOT_CONVERTED = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)


def to_type(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Casts without loss, except for decimals beyond a double's precision.

    Raises:
        ArrowInvalid: a value does not fit.
        ArrowNotImplementedError, ArrowTypeError: no value of this type would.
    """
    array = plain(array)
    if array.type == kind:
        return array
    if is_list(array.type):
        return _vectors(array, kind)
    if pa.types.is_string(kind) and pa.types.is_binary(array.type):
        return array.cast(kind)  # refuses what is not UTF-8
    if pa.types.is_floating(kind) and pa.types.is_integer(array.type):
        return array.cast(kind, safe=False)  # a FLOAT holds the nearest number; ids belong into an INT
    if pa.types.is_integer(kind):
        array = _countable(array)
    return array.cast(kind)


def plain(array: pa.Array) -> pa.Array:
    """The same values, in a type that Arrow can compute with; NaN becomes null.

    Raises:
        ArrowNotImplementedError: of a union.
    """
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(array.storage)
    if pa.types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pa.types.is_union(kind):
        raise pa.ArrowNotImplementedError("a union has no one type")
    if pa.types.is_float16(kind):
        array = array.cast(pa.float32())
    elif pa.types.is_large_string(kind) or kind == pa.string_view():
        return array.cast(pa.string())
    elif pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or kind == pa.binary_view():
        return array.cast(pa.binary())
    elif pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_floating(array.type) and pc.any(pc.is_nan(array)).as_py():
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    return array


def _vectors(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Lists with their values cast. They are rebuilt, because Arrow casts list views to wrong values."""
    if not pa.types.is_list(kind) or is_list(array.type.value_type):
        raise pa.ArrowNotImplementedError(f"a value of {array.type} is no {kind}")
    lengths = pc.list_value_length(array)
    missing = array.is_null() if array.null_count else None
    offsets = pc.cumulative_sum(pa.concat_arrays([pa.array([0], lengths.type), pc.fill_null(lengths, 0)]))
    values = to_type(pc.list_flatten(array), kind.value_type)
    return pa.ListArray.from_arrays(offsets.cast(pa.int32()), values, mask=missing).cast(kind)


def _countable(array: pa.Array) -> pa.Array:
    """Times and durations as microseconds, whatever their unit."""
    kind = array.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("us", getattr(kind, "tz", None))).cast(pa.int64())
    if pa.types.is_time(kind):
        return array.cast(pa.time64("us"), safe=False).cast(pa.int64())
    if pa.types.is_duration(kind):
        return array.cast(pa.duration("us"), safe=False).cast(pa.int64())
    return array
