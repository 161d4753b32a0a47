"""A signature's inputs and outputs as JSON Schema, and a row that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.codec.signature import TensorInfo
from serving.codec.tensors import open_as_one

Schema = dict[str, Any]
_TYPES = {"f": "number", "V": "number", "i": "integer", "u": "integer", "b": "boolean", "O": "string"}
_BYTES: Schema = {
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "required": ["b64"],
    "additionalProperties": False,
}


def row_schema(inputs: Mapping[str, TensorInfo], example: Mapping[str, Any]) -> Schema:
    """One instance of a predict request, by the columns' own names.

    Args:
        example: a row by input; what is `{"b64": ...}` there is a file.
    """
    return {
        "type": "object",
        "properties": {info.shown: _input_schema(info, example.get(name)) for name, info in inputs.items()},
        "required": [info.shown for info in inputs.values() if not info.nullable],
        "additionalProperties": False,
    }


def answer_schema(outputs: Mapping[str, TensorInfo]) -> Schema:
    """The answer to one instance; a single output has no name."""
    schemas = {name: _nested(_output_schema(info), info.row_shape) for name, info in outputs.items()}
    if len(schemas) == 1:
        return next(iter(schemas.values()))
    return {"type": "object", "properties": schemas}


def made_up_row(inputs: Mapping[str, TensorInfo]) -> dict[str, Any]:
    """A row of the right types, for a model that has no request of its own."""
    return {name: _filled("" if info.is_string else info.dtype.type(0).item(), info) for name, info in inputs.items()}


def _input_schema(info: TensorInfo, example: Any) -> Schema:
    schema: Schema = {"type": _TYPES.get(info.dtype.kind, "number")}
    if info.is_string:
        schema = _text_schema(info, example)
    schema = _nested(schema, info.row_shape)
    if not info.nullable:
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def _text_schema(info: TensorInfo, example: Any) -> Schema:
    if isinstance(example, Mapping):
        return _BYTES
    if info.is_date:
        return {"type": "string", "description": "a date in ISO 8601"}
    if info.booleans:
        return {"anyOf": [{"enum": list(info.booleans)}, {"type": "boolean"}]}
    return {"type": "string"} if info.feature is not None else {"anyOf": [{"type": "string"}, _BYTES]}


def _output_schema(info: TensorInfo) -> Schema:
    return (
        _BYTES if info.is_string and info.name.endswith("_bytes") else {"type": _TYPES.get(info.dtype.kind, "number")}
    )


def _nested(schema: Schema, shape: tuple[int | None, ...] | None) -> Schema:
    for size in reversed(shape or ()):
        schema = {"type": "array", "items": schema} | ({} if size is None else {"minItems": size, "maxItems": size})
    return schema


def _filled(value: Any, info: TensorInfo) -> Any:
    for size in reversed(open_as_one(info.row_shape)):
        value = [value] * size
    return value
