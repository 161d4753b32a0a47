"""An infer request, whichever way it came, and its tensors held against a signature."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from serving.codec.decoding import raise_unknown
from serving.codec.signature import TensorInfo
from serving.codec.tensors import Arrays, by_input, show, size_of
from serving.errors import BadRequestError
from serving.http.aside import Aside
from serving.inference.inference import Call, Request
from serving.inference.versions import version_number
from serving.models.servable import Signature
from serving.open_inference._tensors import DTYPES, datatype_of

_ELSEWHERE = ("classification", "shared_memory_region")
"""Parameters that change what an answer is, and that Triton alone has: to ignore them would answer something else."""


@dataclasses.dataclass(frozen=True)
class GivenTensor:
    """A tensor of a request, not yet read.

    Attributes:
        read: reads it as an input's value; called once its datatype is known to be that of the input.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    read: Callable[[TensorInfo], np.ndarray[Any, Any]]


@dataclasses.dataclass(frozen=True)
class InferRequest:
    """What an infer request asks for.

    Attributes:
        id: as the caller gave it, to be repeated in the answer.
        signature_name: which signature is asked; empty: the default.
        label: of the version to ask; None: none is named.
        outputs: which outputs are wanted; empty: all.
    """

    id: str
    tensors: Sequence[GivenTensor]
    outputs: Sequence[str] = ()
    signature_name: str = ""
    label: str | None = None

    def arrays(self, inputs: Mapping[str, TensorInfo]) -> Arrays:
        """The tensors by input name.

        Raises:
            BadRequestError: names the tensor that does not fit, or is no input's.
        """
        named: dict[str, GivenTensor] = {}
        for tensor in self.tensors:
            if tensor.name in named:
                raise BadRequestError(f"inputs: {tensor.name!r} is given twice.")
            named[tensor.name] = tensor
        named = by_input(named, inputs, "inputs")
        if unknown := named.keys() - inputs.keys():
            raise_unknown(unknown, inputs, "inputs")
        return {name: _read(tensor, inputs[name]) for name, tensor in named.items()}

    def to(self, request_id: str, protocol: str, model: str, version: int | None) -> Request:
        """Whom it asks.

        Raises:
            BadRequestError: it names a version and a label.
        """
        if self.label and version is not None:
            raise BadRequestError("parameters.label: a version is named already; keep one of the two.")
        return Request(request_id, protocol, "infer", model, version, self.label)

    def chosen(self, outputs: Arrays) -> Arrays:
        """The outputs that are wanted, in the order asked for."""
        return {name: outputs[name] for name in self.outputs} if self.outputs else outputs


_Request = TypeVar("_Request", bound=InferRequest)
_Answer = TypeVar("_Answer")
Write = Callable[[str, int, _Request, Arrays], _Answer]


async def inferred(call: Call, aside: Aside, request: _Request, size: int, write: Write[_Request, _Answer]) -> _Answer:
    """Answers an infer request.

    Args:
        size: of what the request came in, in bytes.
        write: makes the answer of the model's name, its version, the request and the outputs that it wants.

    Raises:
        BadRequestError: there is no such signature or output, or a tensor does not fit.
    """
    signature, arrays = await aside.run(size, lambda: _checked(call, request))
    outputs = request.chosen(await call.run(signature, arrays))
    servable = call.servable
    return await aside.run(size_of(outputs), lambda: write(servable.model, servable.version, request, outputs))


def _checked(call: Call, request: InferRequest) -> tuple[Signature, Arrays]:
    """Which signature of a version is asked, and its tensors as it takes them."""
    signature = call.servable.signature(request.signature_name)
    if unknown := [name for name in request.outputs if name not in signature.outputs]:
        raise BadRequestError(f"outputs: there is no output {unknown[0]!r}. Known: {', '.join(signature.outputs)}")
    return signature, call.servable.checked(signature, request.arrays(signature.inputs))


def version_of(text: str) -> int | None:
    """A version as the protocol writes it; None: none is named.

    Raises:
        BadRequestError: it is no whole number.
    """
    return version_number(text, 'A label is a parameter of the request: {"label": "canary"}.') if text else None


def text_parameter(parameters: Mapping[str, Any], name: str) -> str | None:
    """A request's parameter that must be a text.

    Raises:
        BadRequestError: it is another value.
    """
    value = parameters.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequestError(f"parameters.{name}: must be a string. Received: {show(value)}")
    return value


def refuse_unsupported(parameters: Mapping[str, Any], where: str) -> None:
    """Raises BadRequestError for a parameter of a tensor that would change the answer, and that is not known here."""
    for name in _ELSEWHERE:
        if name in parameters:
            raise BadRequestError(f"{where}: parameter {name!r} is not supported; the server's metadata lists what is.")


def checked_datatype(datatype: Any, where: str) -> str:
    """Raises BadRequestError unless it is one of the protocol's."""
    if not isinstance(datatype, str) or datatype not in DTYPES:
        raise BadRequestError(f"{where}: datatype must be one of {', '.join(DTYPES)}. Received: {show(datatype)}")
    return datatype


def _read(tensor: GivenTensor, info: TensorInfo) -> np.ndarray[Any, Any]:
    if DTYPES[tensor.datatype] != info.dtype:
        raise BadRequestError(
            f"input {info.shown!r}: expected datatype {datatype_of(info.dtype)}. Received: {tensor.datatype}"
        )
    array = tensor.read(info)
    # Clients that make tensors of data frames send a column of single values as [N, 1].
    return array.reshape(-1) if info.row_shape == () and array.shape[1:] == (1,) else array
