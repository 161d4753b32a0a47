"""Infer requests and answers over REST: JSON, and after it the bytes of tensors that are not in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.codec.decoding import decode_tensor, parse_json
from serving.codec.encoding import dump, is_finite, jsonable_text
from serving.codec.signature import TensorInfo
from serving.codec.tensors import Arrays, show
from serving.errors import BadRequestError
from serving.open_inference._requests import (
    GivenTensor,
    InferRequest,
    checked_datatype,
    refuse_unsupported,
    text_parameter,
)
from serving.open_inference._tensors import checked_shape, datatype_of, from_bytes, shaped, to_bytes

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are JSON; without it all are."""
_MOST_DIGITS = 18  # of any body's size; of thousands Python makes no number


@dataclasses.dataclass(frozen=True)
class JsonRequest(InferRequest):
    """An infer request that came over REST.

    Attributes:
        as_bytes: of outputs by name, whether they are wanted as bytes after the JSON.
        all_as_bytes: of those that are not named there.
    """

    as_bytes: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    all_as_bytes: bool = False

    def wants_bytes(self, output: str) -> bool:
        return self.as_bytes.get(output, self.all_as_bytes)


def parse(body: bytes, header_length: str) -> JsonRequest:
    """An infer request's body.

    Args:
        header_length: the value of HEADER_LENGTH; empty: the body is JSON alone.

    Raises:
        BadRequestError: it is not the protocol's, or its bytes are not those that it says.
    """
    split = _split_at(body, header_length)
    document = parse_json(body[:split])
    parameters = _object(document, "parameters", "the body")
    outputs = {
        _name(one, f"outputs[{place}]"): _object(one, "parameters", f"outputs[{place}]")
        for place, one in enumerate(_list(document, "outputs"))
    }
    for name, said in outputs.items():
        refuse_unsupported(said, f"output {name!r}")
    return JsonRequest(
        _id(document),
        _tensors(_list(document, "inputs"), memoryview(body)[split:]),
        tuple(outputs),
        text_parameter(parameters, "signature_name") or "",
        text_parameter(parameters, "label"),
        {name: said["binary_data"] is True for name, said in outputs.items() if "binary_data" in said},
        parameters.get("binary_data_output") is True,
    )


def answer(model: str, version: int, request: JsonRequest, outputs: Arrays) -> tuple[bytes, int | None]:
    """The body of an answer, and how many bytes of it are JSON; None: all are."""
    listed, raw = [], []
    for name, array in outputs.items():
        said: dict[str, Any] = {"name": name, "datatype": datatype_of(array.dtype), "shape": list(array.shape)}
        if request.wants_bytes(name):
            raw.append(to_bytes(array))
            said["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            said["data"] = _data(name, array)
        listed.append(said)
    document = {"model_name": model, "model_version": str(version), "outputs": listed}
    written = dump({"id": request.id, **document} if request.id else document, is_finite(outputs))
    return (b"".join([written, *raw]), len(written)) if raw else (written, None)


def _split_at(body: bytes, header_length: str) -> int:
    if not header_length:
        return len(body)
    if not (header_length.isdecimal() and len(header_length) <= _MOST_DIGITS and int(header_length) <= len(body)):
        raise BadRequestError(
            f"{HEADER_LENGTH}: must be a number of bytes up to the body's {len(body):,}. Received: {header_length[:60]!r}"
        )
    return int(header_length)


def _tensors(inputs: list[Any], raw: memoryview) -> list[GivenTensor]:
    tensors, place = [], 0
    for index, given in enumerate(inputs):
        where = f"inputs[{index}]"
        name = _name(given, where)
        where = f"input {name!r}"
        datatype = checked_datatype(given.get("datatype"), where)
        shape = checked_shape(given.get("shape"), where)
        parameters = _object(given, "parameters", where)
        refuse_unsupported(parameters, where)
        size = parameters.get("binary_data_size")
        if size is None:
            tensors.append(GivenTensor(name, datatype, shape, _from_json(given.get("data"), shape, where)))
            continue
        if type(size) is not int or not 0 <= size <= len(raw) - place:
            raise BadRequestError(
                f"{where}: binary_data_size must be one of the {len(raw) - place:,} bytes that remain after the JSON. "
                f"Received: {show(size)}"
            )
        part = raw[place : place + size]
        place += size
        tensors.append(GivenTensor(name, datatype, shape, _from_raw(part, datatype, shape, where)))
    if place != len(raw):
        raise BadRequestError(f"{len(raw) - place:,} bytes after the JSON are no input's; binary_data_size says whose.")
    return tensors


def _from_raw(part: memoryview, datatype: str, shape: tuple[int, ...], where: str) -> Any:
    return lambda info: from_bytes(part, datatype, shape, where)


def _from_json(data: Any, shape: tuple[int, ...], where: str) -> Any:
    def read(info: TensorInfo) -> np.ndarray[Any, Any]:
        if not isinstance(data, list):
            raise BadRequestError(
                f"{where}: needs data, a list, or binary_data_size and its bytes. Received: {show(data)}"
            )
        # Row-major in one list, or in lists of the tensor's shape.
        nested = any(isinstance(value, list) for value in data)
        given = shape if nested else (len(data),)
        expected = TensorInfo(info.name, info.dtype, given, info.nullable, info.feature, info.column)
        array = decode_tensor(data, expected, lambda path: f"{where}, data" + "".join(f"[{i}]" for i in path))
        return shaped(array, shape, where)

    return read


def _data(name: str, array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind == "O":
        return jsonable_text(array.ravel().tolist(), name.endswith("_bytes"))
    flat = np.ascontiguousarray(array).ravel()
    return flat.astype(np.float32) if flat.dtype.kind == "V" else flat


def _id(document: Mapping[str, Any]) -> str:
    value = document.get("id", "")
    if not isinstance(value, str):
        raise BadRequestError(f"id: must be a string. Received: {show(value)}")
    return value


def _list(document: Mapping[str, Any], field: str) -> list[Any]:
    value = document.get(field, [])
    if not isinstance(value, list):
        raise BadRequestError(f"{field}: must be a list. Received: {show(value)}")
    return value


def _object(document: Mapping[str, Any], field: str, where: str) -> dict[str, Any]:
    value = document.get(field, {})
    if not isinstance(value, dict):
        raise BadRequestError(f"{where}: {field} must be an object. Received: {show(value)}")
    return value


def _name(given: Any, where: str) -> str:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise BadRequestError(f"{where}: must be an object with a name. Received: {show(given)}")
    return str(given["name"])
