"""Answers as JSON, by TF Serving's conventions (row form and column form)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from serving.codec.tensors import Arrays
from serving.errors import BadRequestError


def encode_columns(outputs: Arrays, classes: Sequence[str] = ()) -> bytes:
    """The answer to a predict request in column form; a single output has no name.

    Args:
        classes: those of the model, for an answer that says by name how probable each of them is; empty: one without.

    Raises:
        BadRequestError: there are no probabilities for the classes.
    """
    columns = {name: _jsonable(name, array) for name, array in outputs.items()}
    if classes:
        columns["classes"] = by_class(outputs, classes)
    return dump({"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}, is_finite(outputs))


def list_rows(outputs: Arrays, rows: int) -> list[Any]:
    """An answer by row, as `encode_rows` takes it; a single output has no name.

    Raises:
        BadRequestError: the outputs do not have a row for each instance.
    """
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != rows:
            raise BadRequestError(
                f"output {name!r} has shape {list(array.shape)}, not one row for each of the {rows} instances; "
                'ask in column form ("inputs").'
            )
    listed = {name: list(_jsonable(name, array)) for name, array in outputs.items()}
    if len(listed) == 1:
        return next(iter(listed.values()))
    names = tuple(listed)
    return [dict(zip(names, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def encode_rows(listed: list[Any], finite: bool) -> bytes:
    """The answer to a predict request in row form."""
    return dump({"predictions": listed}, finite)


def by_class(outputs: Arrays, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Of each row the classes with their probabilities, the most probable first."""
    probabilities = outputs.get("probabilities")
    if probabilities is None and "probability" in outputs and len(classes) == 2:
        positive = outputs["probability"]
        probabilities = np.stack([1 - positive, positive], axis=1)
    if probabilities is None or probabilities.shape[1:] != (len(classes),):
        raise BadRequestError('"classes": this signature answers no probabilities of classes; leave it out.')
    orders = np.argsort(-probabilities, axis=1, kind="stable").tolist()
    return [{classes[i]: row[i] for i in order} for row, order in zip(probabilities, orders, strict=True)]


def _jsonable(name: str, array: np.ndarray[Any, Any]) -> Any:
    """An array that orjson can write (float32 in its shortest form), or nested lists of strings."""
    if array.dtype.kind == "O":
        return jsonable_text(array.tolist(), name.endswith("_bytes"))
    if array.dtype.kind == "V":
        array = array.astype(np.float32)
    return np.ascontiguousarray(array) if array.ndim else array[()]


def jsonable_text(value: Any, binary: bool) -> Any:
    """Bytes in nested lists as texts, or as `{"b64": ...}` where they are none, or `binary`."""
    if isinstance(value, list):
        return [jsonable_text(item, binary) for item in value]
    raw = value if isinstance(value, bytes) else str(value).encode()
    if not binary:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(raw).decode()}


def is_finite(outputs: Arrays) -> bool:
    """Whether an answer has neither NaN nor infinity."""
    return all(array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in outputs.values())


def dump(document: dict[str, Any], finite: bool) -> bytes:
    """A document with arrays in it as JSON.

    Args:
        finite: whether none of its numbers is NaN or infinity.
    """
    if finite:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    # JSON has no NaN, and orjson would write null; like TF Serving, write NaN, Infinity and -Infinity.
    return json.dumps(document, default=_floats).encode()


def _floats(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_floats(item) for item in value] if value.ndim else _floats(value[()])
    if isinstance(value, np.floating):
        return float(str(value))  # through text: 0.1 as float32 is 0.1, not 0.10000000149
    return value.item()


def encode_classify(classes: np.ndarray[Any, Any] | None, scores: np.ndarray[Any, Any]) -> bytes:
    """The answer to a classify request: for each example a list of [class, score]; "" for a class without a name."""
    labels = np.full(scores.shape, b"", dtype=object) if classes is None else classes
    rows = zip(jsonable_text(labels.tolist(), binary=False), scores, strict=True)
    return dump({"results": [list(zip(names, row, strict=True)) for names, row in rows]}, is_finite({"scores": scores}))


def encode_regress(values: np.ndarray[Any, Any]) -> bytes:
    """The answer to a regress request: one number for each example."""
    return dump({"results": values}, is_finite({"outputs": values}))
