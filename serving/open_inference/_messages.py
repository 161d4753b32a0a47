"""Infer requests and answers over gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from serving.codec.tensors import Arrays
from serving.errors import BadRequestError
from serving.open_inference._requests import (
    GivenTensor,
    InferRequest,
    checked_datatype,
    refuse_unsupported,
    text_parameter,
)
from serving.open_inference._tensors import BYTES, DTYPES, checked_shape, datatype_of, from_bytes, shaped, to_bytes

# Where a message has the values of a datatype; FP16 and BF16 have no field and come as bytes.
_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}


def parse(message: service_pb2.ModelInferRequest) -> InferRequest:
    """An infer request of a message.

    Raises:
        BadRequestError: the message is not the protocol's.
    """
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise BadRequestError(
            f"raw_input_contents: needs an entry for each of the {len(message.inputs)} inputs, or none. Received: {len(raw)}"
        )
    tensors = [_tensor(given, memoryview(raw[place]) if raw else None) for place, given in enumerate(message.inputs)]
    for output in message.outputs:
        refuse_unsupported(output.parameters, f"output {output.name!r}")
    parameters = _values(message.parameters)
    return InferRequest(
        message.id,
        tensors,
        tuple(dict.fromkeys(output.name for output in message.outputs)),
        text_parameter(parameters, "signature_name") or "",
        text_parameter(parameters, "label"),
    )


def answer(model: str, version: int, request: InferRequest, outputs: Arrays) -> service_pb2.ModelInferResponse:
    """The answer's message, its tensors as bytes, which every client reads."""
    message = service_pb2.ModelInferResponse(model_name=model, model_version=str(version), id=request.id)
    for name, array in outputs.items():
        message.outputs.add(name=name, datatype=datatype_of(array.dtype), shape=array.shape)
        message.raw_output_contents.append(to_bytes(array))
    return message


def _tensor(given: Any, raw: memoryview | None) -> GivenTensor:
    where = f"input {given.name!r}"
    datatype = checked_datatype(given.datatype, where)
    shape = checked_shape(list(given.shape), where)
    refuse_unsupported(given.parameters, where)
    if raw is not None:
        return GivenTensor(given.name, datatype, shape, lambda info: from_bytes(raw, datatype, shape, where))
    return GivenTensor(given.name, datatype, shape, lambda info: _from_contents(given.contents, datatype, shape, where))


def _from_contents(contents: Any, datatype: str, shape: tuple[int, ...], where: str) -> np.ndarray[Any, Any]:
    field = _FIELDS.get(datatype)
    if field is None:
        raise BadRequestError(f"{where}: {datatype} has no field in contents; send raw_input_contents.")
    values = list(getattr(contents, field))
    try:
        flat = np.array(values, DTYPES[datatype])
    except OverflowError:
        raise BadRequestError(f"{where}: a whole number is outside the range of {datatype}.") from None
    return shaped(flat, shape, where)


def _values(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: getattr(value, value.WhichOneof("parameter_choice") or "", None) for name, value in parameters.items()
    }
