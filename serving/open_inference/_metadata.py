"""What the protocol says of the server and of its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.codec.signature import TensorInfo
from serving.models.manager import ModelManager
from serving.models.servable import DEFAULT_SIGNATURE, Servable
from serving.open_inference._tensors import datatype_of

VERSION = "0.1.0"
_OPEN = -1
_PLATFORM = "tensorflow_savedmodel"


def server_metadata() -> dict[str, Any]:
    return {"name": "trainyard", "version": VERSION, "extensions": ["binary_tensor_data"]}


def model_metadata(manager: ModelManager, servable: Servable) -> dict[str, Any]:
    """A version's inputs and outputs, those of its default signature; none where it has no such signature."""
    default = servable.signatures.get(DEFAULT_SIGNATURE)
    return {
        "name": servable.model,
        "versions": [str(version) for version in sorted(manager.model(servable.model).servables)],
        "platform": _PLATFORM,
        "inputs": _tensors(default.inputs) if default else [],
        "outputs": _tensors(default.outputs) if default else [],
    }


def _tensors(infos: Mapping[str, TensorInfo]) -> list[dict[str, Any]]:
    return [
        {"name": info.shown, "datatype": datatype_of(info.dtype), "shape": _shape(info.shape)}
        for info in infos.values()
    ]


def _shape(shape: tuple[int | None, ...] | None) -> list[int]:
    """A size that is open is -1. The protocol has no word for an open number of dimensions; one is said."""
    return [_OPEN] if shape is None else [_OPEN if size is None else size for size in shape]
