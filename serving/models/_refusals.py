"""Why a model's graph refuses a request: TensorFlow's line, or a plainer one where that is about the graph and not the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from spec.pictures import picture_size

_NODE = re.compile(r"{{[^}]*}} ?")
_PREAMBLE = ("Graph execution error", "Detected at node", "<stack traces unavailable>")
# What a graph says of a picture that it does not bring to its size: what it has, and what the model takes.
_SHAPES = (
    re.compile(r"Item element shape: (\[[\d,]*\]) list shape: (\[[\d,?]*\])"),
    re.compile(r"(\[[\d,]*\]) is not compatible with expected shape (\[[\d,?]*\])"),
    re.compile(r"a tensor with (\d+ values), but the requested shape has (\d+)"),
)


def complaint(error: tf.errors.OpError, asked: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """What is wrong with the inputs (by name, [N, ...]) that a graph refuses with this error."""
    line = first_line(error)
    shapes = next((found for pattern in _SHAPES if (found := pattern.search(line))), None)
    pictures = {name: size for name, array in asked.items() if (size := _size_of_first(array))}
    if shapes is None or len(pictures) != 1:
        return line
    ((name, (width, height)),) = pictures.items()
    return f"input {name!r}, a picture of {width} x {height} pixels, has {shapes[1]}; the model takes {shapes[2]}."


def first_line(error: tf.errors.OpError) -> str:
    """TensorFlow's message without the graph nodes listed after it."""
    lines = [_NODE.sub("", line.split("[[{{")[0]).strip() for line in str(error.message).splitlines()]
    told = [line for line in lines if line and not line.startswith(_PREAMBLE)]
    return told[0] if told else type(error).__name__


def _size_of_first(array: np.ndarray[Any, Any]) -> tuple[int, int] | None:
    first = array.flat[0] if array.dtype.kind == "O" and array.size else b""
    return picture_size(first) if isinstance(first, bytes) else None
