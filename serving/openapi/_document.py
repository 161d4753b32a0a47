"""The OpenAPI document of what is served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from model_store import STABLE
from serving.models.manager import ServedModel
from serving.models.servable import CLASSIFY, DEFAULT_SIGNATURE, REGRESS, Servable, Signature
from serving.openapi._schemas import answer_schema, made_up_row, row_schema
from spec.signatures import EXPLAIN

_MOST_EXAMPLE_BYTES = 64 * 1024
_ERROR = {"$ref": "#/components/responses/Error"}
_VERSIONS = "Another version: put `/versions/<n>` or `/labels/<label>` after the model's name."
_SIGNATURE_NAME = {"type": "string", "description": "another signature; leave it out for the default"}


def document(models: Mapping[str, ServedModel]) -> dict[str, Any]:
    """The document of the stable versions of all models, and of what platforms ask."""
    paths: dict[str, Any] = {
        "/healthz": {"get": _got("Whether every model is ready", "platform", {"503": _answer("not ready")})},
        "/livez": {"get": _got("Whether the server is alive", "platform")},
        "/v1/models": {"get": _got("Which models there are", "platform")},
    }
    for name, model in sorted(models.items()):
        if model.ready:
            paths |= _paths_of(name, model.labels[STABLE])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Models in service",
            "version": "1",
            "description": "TensorFlow Serving's REST, and the Open Inference Protocol.",
        },
        "paths": paths,
        "components": {"responses": {"Error": _error()}},
    }


def _paths_of(name: str, servable: Servable) -> dict[str, Any]:
    path = f"/v1/models/{name}"
    paths = {
        path: {"get": _got("Versions and their states", name, {"404": _ERROR})},
        f"{path}/metadata": {"get": _got("Signatures", name, {"404": _ERROR})},
    }
    default = servable.signatures.get(DEFAULT_SIGNATURE)
    if default is None:
        return paths
    given = servable.example or made_up_row(default.inputs)
    schema = row_schema(default.inputs, given)
    row = {default.inputs[key].shown: value for key, value in given.items() if key in default.inputs}
    paths[f"{path}:predict"] = {"post": _predict(name, servable, default, schema, row)}
    paths[f"/v2/models/{name}/infer"] = {"post": _infer(name)}
    for method in (CLASSIFY, REGRESS):
        if method in servable.signatures and servable.features:
            paths[f"{path}:{method}"] = {"post": _of_examples(name, method, schema, row)}
    return paths


def _predict(
    name: str, servable: Servable, default: Signature, schema: dict[str, Any], row: dict[str, Any]
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "instances": {"type": "array", "minItems": 1, "items": schema},
        "signature_name": _SIGNATURE_NAME,
    }
    if servable.classes:
        properties["classes"] = {"type": "boolean", "description": "add the probability of each class by its name"}
    body = {"type": "object", "required": ["instances"], "properties": properties, "additionalProperties": False}
    answer = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": answer_schema(default.outputs)}},
    }
    operation = _posted(f"Ask {name}, row by row", name, body, {"instances": [row]}, answer)
    operation["description"] = _VERSIONS
    if EXPLAIN in servable.signatures:
        explain = {"name": "explain", "in": "query", "schema": {"type": "boolean"}}
        operation["parameters"] = [explain | {"description": "add what moved each answer"}]
    return operation


def _infer(name: str) -> dict[str, Any]:
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array"},
        },
    }
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor},
            "outputs": {"type": "array"},
        },
    }
    return _posted(f"Ask {name} by the Open Inference Protocol", name, body, None, {"type": "object"})


def _of_examples(name: str, method: str, row: dict[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    examples = {"type": "array", "minItems": 1, "items": row}
    body = {"type": "object", "required": ["examples"], "properties": {"examples": examples}}
    return _posted(f"{method} tf.Examples".capitalize(), name, body, {"examples": [example]}, {"type": "object"})


def _posted(
    summary: str, tag: str, body: dict[str, Any], example: Mapping[str, Any] | None, answer: dict[str, Any]
) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": body}
    if example is not None and len(json.dumps(example)) <= _MOST_EXAMPLE_BYTES:
        content["example"] = example
    return {
        "summary": summary,
        "tags": [tag],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {"200": {"description": "the answer", "content": {"application/json": {"schema": answer}}}}
        | dict.fromkeys(("400", "404", "413", "429", "503"), _ERROR),
    }


def _got(summary: str, tag: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"summary": summary, "tags": [tag], "responses": {"200": _answer("the answer"), **(more or {})}}


def _answer(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}


def _error() -> dict[str, Any]:
    schema = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    return {"description": "what is wrong, in one line", "content": {"application/json": {"schema": schema}}}
