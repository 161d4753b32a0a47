"""Asks a server by Triton's own client, over HTTP (tensors as bytes after the JSON) and gRPC, in its own environment."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

TAXI = {
    "fare": np.array([5.0, 10.0], np.float32),
    "miles": np.array([1.5, 2.5], np.float32),
    "area": np.array([3, 4], np.int64),
    "company": np.array(["x", "y"], object),
    "hour": np.array([4, 5], np.int64),
}


def inputs_of(api: Any, arrays: dict[str, np.ndarray]) -> list[Any]:
    inputs = [api.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)) for name, array in arrays.items()]
    for tensor, array in zip(inputs, arrays.values(), strict=True):
        tensor.set_data_from_numpy(array)
    return inputs


def ask(api: Any, address: str) -> dict[str, Any]:
    client = api.InferenceServerClient(address)
    every = client.infer("taxi", inputs_of(api, TAXI))
    only = client.infer("taxi", inputs_of(api, TAXI), outputs=[api.InferRequestedOutput("probability")])
    names = ("probability", "label")
    reversed_ = client.infer("codec", inputs_of(api, {"image": np.array([b"\xff\x00\xc3\xa9"], object)}))
    try:
        client.infer("taxi", inputs_of(api, TAXI | {"fare": np.array([5.0, 1.0])}))
        error = ""
    except InferenceServerException as refused:
        error = refused.message()
    metadata = client.get_model_metadata("taxi")
    inputs = metadata["inputs"] if isinstance(metadata, dict) else metadata.inputs
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready("taxi", "1"),
        "unknown_ready": client.is_model_ready("nope"),
        "probability": every.as_numpy("probability").tolist(),
        "label": [label.decode() for label in every.as_numpy("label").tolist()],
        "only": [name for name in names if only.as_numpy(name) is not None],
        "bytes": reversed_.as_numpy("image_bytes").tolist()[0].hex(),
        "error": error,
        "inputs": sorted(one["name"] if isinstance(one, dict) else one.name for one in inputs),
    }


_, rest, grpc_port = sys.argv
answers = {
    "http": ask(tritonclient.http, f"127.0.0.1:{rest}"),
    "grpc": ask(tritonclient.grpc, f"127.0.0.1:{grpc_port}"),
}
print(json.dumps(answers))
