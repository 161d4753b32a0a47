"""Asks a server by KServe's own clients, over REST and gRPC; run in an environment of the client's."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig


def request() -> InferRequest:
    tensor = InferInput("area", [2], "FP32")
    tensor.set_data_from_numpy(np.array([1.5, 2], np.float32))
    return InferRequest("house", [tensor])


def told(answer: Any, **more: Any) -> dict[str, Any]:
    return {**more, "prediction": answer.outputs[0].as_numpy().tolist()}


async def over_http(port: str) -> dict[str, Any]:
    base = f"http://127.0.0.1:{port}"
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    return told(
        await client.infer(base, request(), model_name="house"),
        live=await client.is_server_live(base),
        ready=await client.is_server_ready(base),
        model_ready=await client.is_model_ready(base, "house"),
    )


async def over_grpc(port: str) -> dict[str, Any]:
    async with InferenceGRPCClient(f"127.0.0.1:{port}") as client:
        return told(
            await client.infer(request()),
            live=await client.is_server_live(),
            ready=await client.is_server_ready(),
            model_ready=await client.is_model_ready("house"),
        )


async def main(rest: str, grpc_port: str) -> None:
    print(json.dumps({"http": await over_http(rest), "grpc": await over_grpc(grpc_port)}))


asyncio.run(main(*sys.argv[1:]))
