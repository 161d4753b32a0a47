"""JSON to serialized tf.Example, for classify and regress."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from serving.codec._lossless import objection
from serving.codec.decoding import decode_b64, is_b64
from serving.codec.signature import Feature
from serving.codec.tensors import show
from serving.errors import BadRequestError
from spec.pictures import may_hold_picture, too_large

_FLOAT32 = np.dtype(np.float32)
_MOST_MERGED_BYTES = 16 << 20


def decode_examples(document: Mapping[str, Any], features: Mapping[str, Feature]) -> np.ndarray[Any, Any]:
    """The examples of a classify or regress request.

    Args:
        document: `{"context": {feature: value}, "examples": [{feature: value}]}`; a value is a number, a string,
            `{"b64": ...}`, or a list of those.
        features: the model's raw features, if known; an integer is then written as float where that is the type.

    Returns:
        Serialized tf.Example, [N].
    """
    examples = document.get("examples")
    if not isinstance(examples, list) or not examples:
        raise BadRequestError(f'the body needs "examples", a list of at least one object. Received: {show(examples)}')
    context = document.get("context", {})
    if not isinstance(context, dict):
        raise BadRequestError(f'"context" must be an object. Received: {show(context)}')
    with contextlib.suppress(RecursionError):  # what is nested so deep is refused below
        insist_on_merged(len(json.dumps(context)), len(examples))
    serialized = [_serialize(example, context, features, row) for row, example in enumerate(examples)]
    array = np.empty(len(serialized), dtype=object)
    array[:] = serialized
    return array


def insist_on_merged(size: int, examples: int) -> None:
    """Raises BadRequestError where a context of so many bytes would be much larger, once it is in each example."""
    if examples > 1 and size * examples > _MOST_MERGED_BYTES:
        raise BadRequestError(
            f"a context of {size:,} bytes in {examples:,} examples makes more than {_MOST_MERGED_BYTES:,}; send fewer at once."
        )


def check_pictures_of(serialized: np.ndarray[Any, Any]) -> None:
    """Raises BadRequestError if an example has a picture that would take gigabytes once it is decoded."""
    for row, one in enumerate(serialized.tolist()):
        if not may_hold_picture(one):
            continue
        try:
            found = tf.train.Example.FromString(one).features.feature
        except DecodeError:
            continue  # the graph says what is wrong with it
        for name, feature in found.items():
            for value in feature.bytes_list.value:
                if problem := too_large(value):
                    raise BadRequestError(f"row {row}, feature {name!r}: {problem}.")


def _serialize(example: Any, context: Mapping[str, Any], features: Mapping[str, Feature], row: int) -> bytes:
    where = f"examples[{row}]"
    if not isinstance(example, dict):
        raise BadRequestError(f"{where}: expected an object {{feature: value}}. Received: {show(example)}")
    if twice := example.keys() & context.keys():
        raise BadRequestError(f"{where}.{sorted(twice)[0]}: stands in context too; keep one of the two.")
    merged = {**context, **example}
    if features:
        if unknown := merged.keys() - features.keys():
            raise BadRequestError(f"{where}: there is no feature {sorted(unknown)[0]!r}. Known: {', '.join(features)}")
        for name, feature in features.items():
            if merged.get(name) == [] or _is_missing(merged.get(name), feature):
                merged[name] = None
            if merged.get(name) is None and not feature.nullable:
                raise BadRequestError(
                    f"{where}.{name}: expected a value ({feature.dtype}); it may not be missing or null."
                )
    proto = tf.train.Example()
    for name, value in merged.items():
        if value is not None:
            _set(proto.features.feature[name], value, features.get(name), f"{where}.{name}")
    return bytes(proto.SerializeToString())


def _is_missing(value: Any, feature: Feature) -> bool:
    """Whether a value means "missing", as in the model's training data."""
    if isinstance(value, str):
        return value.encode() in feature.missing_texts
    return isinstance(value, float | int) and (math.isnan(value) or (feature.dtype == "int64" and value == -(2**63)))


def _set(target: Any, value: Any, feature: Feature | None, where: str) -> None:
    values = value if isinstance(value, list) else [value]
    if feature is not None and feature.booleans:
        values = [feature.booleans[item] if isinstance(item, bool) else item for item in values]
    elif feature is None or feature.dtype == "int64":
        values = [int(item) if isinstance(item, bool) else item for item in values]
    if not values:
        target.SetInParent()
        return
    if all(isinstance(item, str) or is_b64(item) for item in values):
        found = "string"
    elif all(isinstance(item, int) and not isinstance(item, bool) for item in values):
        found = "float32" if feature is not None and feature.dtype == "float32" else "int64"
    elif all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in values):
        found = "float32"
    else:
        raise BadRequestError(
            f"{where}: expected a number, a string or a list of one kind of those. Received: {show(value)}"
        )
    if feature is not None and found != feature.dtype:
        raise BadRequestError(f"{where}: expected {feature.dtype}. Received: {show(value)}")
    if found == "string":
        encoded = [item.encode() if isinstance(item, str) else decode_b64(item, where) for item in values]
        target.bytes_list.value.extend(encoded)
    elif found == "int64":
        try:
            target.int64_list.value.extend(values)
        except ValueError:
            raise BadRequestError(
                f"{where}: a whole number is outside the range of int64. Received: {show(value)}"
            ) from None
    else:
        for item in values:
            if wrong := objection(item, _FLOAT32):
                raise BadRequestError(f"{where}: {wrong}. Received: {show(item)}")
        target.float_list.value.extend(float(item) for item in values)
