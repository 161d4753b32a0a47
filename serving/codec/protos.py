"""TensorProtos and tf.Examples of TF Serving's messages to arrays, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import input_pb2

from serving.codec.examples import insist_on_merged
from serving.errors import BadRequestError

# Where a TensorProto has the values of a type.
_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.uint8: "int_val",
    tf.bool: "bool_val",
}
_MOST_REPEATED_BYTES = 8 << 20
_NUMBER_BYTES = 8


def to_proto(array: np.ndarray[Any, Any]) -> Any:
    """A TensorProto with its values in the field of their type, as TF Serving sends it.

    `tf.make_tensor_proto` packs numbers as bytes instead, and clients that read `float_val`, as many do, find nothing.
    """
    kind = tf.as_dtype(array.dtype)
    if kind not in _FIELDS:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=kind.as_datatype_enum, tensor_shape=tf.TensorShape(array.shape).as_proto())
    getattr(proto, _FIELDS[kind]).extend(array.ravel().tolist())
    return proto


def to_array(name: str, proto: tensor_pb2.TensorProto) -> np.ndarray[Any, Any]:
    """The tensor of an input.

    Raises:
        BadRequestError: it is no valid TensorProto, or would be far larger than its message.
    """
    _insist_on_values(name, proto)
    try:
        array: np.ndarray[Any, Any] = tf.make_ndarray(proto)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequestError(f"input {name!r} is not a valid TensorProto: {error}") from None
    except KeyError:  # a type that no tensor outside of a graph has
        raise BadRequestError(f"input {name!r}: there are no tensors of type {proto.dtype}.") from None
    if array.dtype.kind == "O" and not proto.string_val:
        array[...] = b""  # TensorFlow's default; make_ndarray says "", which is no bytes
    return array


def examples_of(given: input_pb2.Input) -> np.ndarray[Any, Any]:
    """Serialized tf.Example, [N], with the context merged into each.

    Raises:
        BadRequestError: there is none, or a large context for many.
    """
    kind = given.WhichOneof("kind")
    examples = list(getattr(given, kind).examples) if kind else []
    if not examples:
        raise BadRequestError("input: at least one example is needed, in example_list or example_list_with_context.")
    if kind == "example_list_with_context":
        insist_on_merged(given.example_list_with_context.context.ByteSize(), len(examples))
        for example in examples:
            for name, feature in given.example_list_with_context.context.features.feature.items():
                example.features.feature[name].CopyFrom(feature)
    array = np.empty(len(examples), dtype=object)
    array[:] = [example.SerializeToString() for example in examples]
    return array


def _insist_on_values(name: str, proto: tensor_pb2.TensorProto) -> None:
    """Raises BadRequestError where a tensor would be far larger than its message: the last value is repeated up to the shape."""
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if any(size < 0 for size in sizes):
        raise BadRequestError(f"input {name!r}: a shape has no negative sizes. Received: {sizes}")
    wanted = math.prod(sizes)
    given = sum(len(values) for field, values in proto.ListFields() if field.name.endswith("_val"))
    each = max(_NUMBER_BYTES, len(proto.string_val[-1]) if proto.string_val else 0)
    if not proto.tensor_content and given < wanted and wanted * each > _MOST_REPEATED_BYTES:
        raise BadRequestError(
            f"input {name!r}: shape {sizes} has {wanted:,} values, and {given:,} are given; more than "
            f"{_MOST_REPEATED_BYTES // each:,} such have to be given one by one."
        )
