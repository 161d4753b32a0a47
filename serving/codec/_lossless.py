"""Which numbers of JSON a type takes without loss, by TensorFlow Serving's rules (json_tensor.cc)."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

_NUMBERS, _WHOLE = {int, float}, {int}
_BFLOAT16 = 8  # significant bits; NumPy does not know the type


@functools.cache
def most_whole(dtype: np.dtype[Any]) -> int:
    """The largest whole number that may be written as one, without a decimal point, for a type of decimal numbers.

    Beyond it not every whole number has a value of the type.

    Example:
        >>> most_whole(np.dtype("float32"))
        16777215
    """
    bits = _BFLOAT16 if dtype.kind == "V" else int(np.finfo(dtype).nmant) + 1
    return 2**bits - 1


def objection(value: float, dtype: np.dtype[Any]) -> str:
    """Why a number cannot be one of a type of decimal numbers; empty: it can."""
    if isinstance(value, int):
        most = most_whole(dtype)
        if abs(value) > most:
            return f"whole numbers beyond {most:,} may lose digits as {dtype}; write 1.0 and not 1 to have it rounded"
        return ""
    with np.errstate(over="ignore"):
        if math.isfinite(value) and math.isinf(float(dtype.type(value))):
            return f"it is outside the range of {dtype}"
    return ""


def are_plain(values: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a list holds numbers alone, each of which the type has: what most are, and quicker to see than why one is not."""
    kinds = set(map(type, values)) if type(values) is list else set()
    if dtype.kind == "f" and kinds and kinds <= _NUMBERS:
        most = most_whole(dtype) if int in kinds else float(np.finfo(dtype).max)
        return all(-most <= value <= most for value in values)
    if dtype.kind in "iu" and kinds == _WHOLE:
        bounds = np.iinfo(dtype)
        return bool(bounds.min <= min(values) and max(values) <= bounds.max)
    return False
