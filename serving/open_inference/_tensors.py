"""The protocol's datatypes, and tensors as its bytes: little-endian, row-major, each text after its length."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from serving.codec.lists import MOST_NESTED
from serving.codec.tensors import show
from serving.errors import BadRequestError

BYTES = "BYTES"
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(bool),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    BYTES: np.dtype(object),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_LENGTH = struct.Struct("<I")
_MOST_SIZE = 2**63


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name of a type, e.g. FP32; the type's own name if the protocol has none."""
    return _NAMES.get(dtype) or str(dtype)  # to name a type takes NumPy longer than to read a tensor of a value


def checked_shape(shape: Any, where: str) -> tuple[int, ...]:
    """A shape as a request gives it.

    Raises:
        BadRequestError: it is no list of whole numbers of at least 0, of 64 bits.
    """
    if (
        not isinstance(shape, Sequence)
        or isinstance(shape, str)
        or any(type(n) is not int or not 0 <= n < _MOST_SIZE for n in shape)
    ):
        raise BadRequestError(f"{where}: shape must be a list of whole numbers of at least 0. Received: {show(shape)}")
    if len(shape) > MOST_NESTED:
        raise BadRequestError(f"{where}: shape has more than {MOST_NESTED} dimensions.")
    return tuple(shape)


def shaped(flat: np.ndarray[Any, Any], shape: tuple[int, ...], where: str) -> np.ndarray[Any, Any]:
    """Brings values to a shape, of which nothing but their number is not yet known to fit.

    Raises:
        BadRequestError: they are not as many as the shape has.
    """
    if flat.size != math.prod(shape):
        raise BadRequestError(f"{where}: shape {list(shape)} has {math.prod(shape):,} values. Received: {flat.size:,}")
    try:
        return flat.reshape(shape)
    except ValueError as error:  # of a shape without values, one size of which is beyond NumPy's
        raise BadRequestError(f"{where}: shape {list(shape)}: {error}.") from None


def from_bytes(raw: memoryview, datatype: str, shape: tuple[int, ...], where: str) -> np.ndarray[Any, Any]:
    """The tensor in a request's bytes; numbers stay where they are, so nothing is larger than what was sent.

    Raises:
        BadRequestError: the bytes are not as many as the datatype and the shape need.
    """
    dtype = DTYPES[datatype]
    if datatype == BYTES:
        return shaped(_texts(raw, where), shape, where)
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise BadRequestError(
            f"{where}: {datatype} of shape {list(shape)} has {math.prod(shape) * dtype.itemsize:,} bytes. Received: {len(raw):,}"
        )
    if datatype == "BOOL":
        return shaped(np.frombuffer(raw, np.uint8) != 0, shape, where)
    # They begin wherever the JSON before them ends; NumPy and TensorFlow want numbers at multiples of their size.
    return shaped(np.require(np.frombuffer(raw, dtype), requirements="A"), shape, where)


def to_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """A tensor as the protocol's bytes."""
    if array.dtype.kind != "O":
        return array.tobytes()
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel().tolist()]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def _texts(raw: memoryview, where: str) -> np.ndarray[Any, Any]:
    found: list[bytes] = []
    place = 0
    while place < len(raw):
        begin = place + _LENGTH.size
        end = begin + _LENGTH.unpack_from(raw, place)[0] if begin <= len(raw) else begin
        if end > len(raw):
            raise BadRequestError(
                f"{where}: value {len(found)} of {BYTES} breaks off; each is its length in 4 bytes, little-endian, and its bytes."
            )
        found.append(bytes(raw[begin:end]))
        place = end
    array = np.empty(len(found), dtype=object)
    array[:] = found
    return array
