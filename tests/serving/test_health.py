"""gRPC's health and reflection services, by the stubs that load balancers and tools have."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable

import grpc
import pytest
from conftest import Publish, Server
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from model_store import STABLE, ModelStore

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
Start = Callable[..., Server]


def channel_to(server: Server) -> grpc.Channel:
    return grpc.insecure_channel(f"127.0.0.1:{server.grpc}")


def test_health_of_the_server_and_of_each_model(server: Server) -> None:
    with channel_to(server) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "taxi"):
            assert health.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status == SERVING
        with pytest.raises(grpc.RpcError) as raised:
            health.Check(health_pb2.HealthCheckRequest(service="nope"), timeout=20)
        assert (
            raised.value.code() is grpc.StatusCode.NOT_FOUND
            and "there is no model 'nope' here" in raised.value.details()
        )


def test_watchers_see_a_model_come_and_the_server_go(
    store: ModelStore, publish: Publish, start: Start, exports: dict[str, pathlib.Path]
) -> None:
    release = publish("house", exports["house"], None)
    server = start("--model", "house", "--lame-duck-seconds", "1").wait_until_ready()
    with channel_to(server) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        seen = health.Watch(health_pb2.HealthCheckRequest(service="house"), timeout=100)
        assert next(seen).status == NOT_SERVING
        store.set_label("house", STABLE, release.version, reason="test", actor="test")
        assert next(seen).status == SERVING
        server.process.send_signal(signal.SIGTERM)
        assert next(seen).status == NOT_SERVING
        assert list(seen) == [], "the stream ends, and does not hold up the server"
    assert server.process.wait(20) == 0


def test_reflection_is_off_unless_asked_for(server: Server) -> None:
    with channel_to(server) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            ProtoReflectionDescriptorDatabase(channel).get_services()
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture(scope="module")
def grpcurl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tool, made by Go where there is none."""
    if found := shutil.which("grpcurl"):
        return found
    if not shutil.which("go"):
        pytest.skip("needs grpcurl, or Go to make it")
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "trainyard-tests"
    made = folder / "grpcurl"
    if not made.exists():
        package = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"
        done = subprocess.run(
            ["go", "install", package],
            env=os.environ | {"GOBIN": str(folder)},
            capture_output=True,
            text=True,
            timeout=500,
        )
        if done.returncode:
            pytest.skip(f"grpcurl cannot be had: {done.stderr.strip()[-200:]}")
    return str(made)


@pytest.mark.slow
def test_grpcurl_finds_the_services_and_asks_one(
    publish: Publish, start: Start, exports: dict[str, pathlib.Path], grpcurl: str
) -> None:
    publish("house", exports["house"])
    server = start("--grpc-reflection").wait_until_ready()

    def run(*arguments: str) -> str:
        command = [grpcurl, "-plaintext", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    address = f"127.0.0.1:{server.grpc}"
    assert set(run(address, "list").split()) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService",
    }
    inputs = {"name": "area", "datatype": "FP32", "shape": [1], "contents": {"fp32_contents": [2.0]}}
    body = json.dumps({"model_name": "house", "inputs": [inputs]})
    answer = json.loads(run("-d", body, address, "inference.GRPCInferenceService/ModelInfer"))
    assert base64.b64decode(answer["raw_output_contents"][0]) == struct.pack("<f", 4)
    assert json.loads(run(address, "grpc.health.v1.Health/Check")) == {"status": "SERVING"}
