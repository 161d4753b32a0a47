"""Triton's and KServe's clients, unmodified, against a real server."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from conftest import Server
from own_environment import by_client
from tritonclient.grpc import service_pb2, service_pb2_grpc

ROW = {
    "fare": np.array([5.0], np.float32),
    "miles": np.array([1.5], np.float32),
    "area": np.array([3], np.int64),
    "company": np.array([b"x"], object),
    "hour": np.array([4], np.int64),
}
DATATYPES = {"f": "FP32", "i": "INT64", "O": "BYTES"}


def sigmoid(x: float) -> Any:
    return pytest.approx(1 / (1 + math.exp(-x)))


def row_in_json(**columns: Any) -> list[dict[str, Any]]:
    """The inputs of a request in JSON: those of ROW, with others in their place."""
    values = {
        name: [str(v, "utf-8") if isinstance(v, bytes) else v for v in array.tolist()] for name, array in ROW.items()
    }
    return [
        {"name": name, "datatype": DATATYPES[ROW[name].dtype.kind], "shape": [len(given)], "data": given}
        for name, given in (values | columns).items()
    ]


def by_name(answer: Any) -> dict[str, Any]:
    return {output["name"]: output["data"] for output in answer["outputs"]}


def test_a_request_in_json(server: Server) -> None:
    body = {"id": "order-17", "inputs": row_in_json(), "outputs": [{"name": "probability"}]}
    status, answer, headers = server.ask("POST", "/v2/models/taxi/infer", body)
    assert status == 200
    assert answer | {"outputs": []} == {"id": "order-17", "model_name": "taxi", "model_version": "1", "outputs": []}
    assert by_name(answer) == {"probability": [sigmoid(0.5)]}
    assert headers["x-request-id"] == "order-17"
    rest = server.ask("POST", "/v2/models/taxi/infer", body, {"x-request-id": "header-1"})
    assert rest[1]["id"] == "order-17" and rest[2]["x-request-id"] == "header-1"


def test_versions_labels_and_signatures(server: Server) -> None:
    second = server.ask("POST", "/v2/models/taxi/versions/2/infer", {"inputs": row_in_json()})[1]
    assert second["model_version"] == "2" and by_name(second)["probability"] == [sigmoid(1.5)]
    labelled = {"inputs": row_in_json(), "parameters": {"label": "canary"}}
    assert server.ask("POST", "/v2/models/taxi/infer", labelled)[1]["model_version"] == "2"
    status, answer, _ = server.ask("POST", "/v2/models/taxi/versions/2/infer", labelled)
    assert (status, answer["error"]) == (400, "parameters.label: a version is named already; keep one of the two.")
    area = {"name": "area", "datatype": "FP32", "shape": [1], "data": [60.0]}
    explained = {"inputs": [area], "parameters": {"signature_name": "explain"}}
    assert by_name(server.ask("POST", "/v2/models/house/infer", explained)[1])["area_attribution"] == [20.0]


def test_what_may_be_missing_may_be_left_out(server: Server) -> None:
    inputs = [one for one in row_in_json() if one["name"] in ("fare", "hour")]
    assert by_name(server.ask("POST", "/v2/models/taxi/infer", {"inputs": inputs})[1])["probability"] == [sigmoid(3.5)]


def test_metadata_and_readiness(server: Server) -> None:
    status, said, _ = server.get("/v2")
    assert status == 200 and said["name"] == "trainyard" and "binary_tensor_data" in said["extensions"]
    assert server.get("/v2/health/live")[:2] == (200, {"live": True})
    assert server.get("/v2/health/ready")[:2] == (200, {"ready": True})
    assert server.get("/v2/models")[1] == {"models": ["codec", "digits", "house", "taxi"]}
    assert server.get("/v2/models/digits")[1] == {
        "name": "digits",
        "versions": ["1"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
        ],
    }
    assert server.get("/v2/models/taxi/versions/2")[1]["versions"] == ["1", "2"]
    assert server.get("/v2/models/taxi/ready")[:2] == (200, {"name": "taxi", "ready": True})
    assert server.get("/v2/models/taxi/versions/9/ready")[0] == 404
    assert server.get("/v2/models/nope/ready")[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("models/nope/infer", {}, 404, "there is no model 'nope' here"),
        ("models/taxi/versions/two/infer", {}, 400, "a version is a whole number. Received: 'two'."),
        ("models/taxi/infer", {}, 400, "input 'fare' is missing"),
        ("models/taxi/infer", {"outputs": [{"name": "zzz"}]}, 400, "outputs: there is no output 'zzz'. Known: label"),
        ("models/taxi/infer", {"parameters": {"signature_name": "zzz"}}, 400, "taxi has no signature 'zzz'"),
        ("models/taxi/infer", {"inputs": row_in_json(fare=["a"])}, 400, "input 'fare', data[0]: expected a number"),
        ("models/taxi/infer", b"{", 400, "the body is not valid JSON"),
        ("models/taxi/zzz", {}, 404, "there is nothing at /v2/models/taxi/zzz"),
    ],
)
def test_errors_are_one_line(server: Server, path: str, body: Any, status: int, message: str) -> None:
    found, answer, headers = server.ask("POST", f"/v2/{path}", body)
    assert (found, "\n" in answer["error"]) == (status, False)
    assert message in answer["error"]
    assert path.endswith("zzz") or headers["x-request-id"]


def test_a_get_of_infer(server: Server) -> None:
    assert server.get("/v2/models/taxi/infer")[0] == 405


@pytest.fixture(scope="module")
def stub(server: Server) -> Iterator[service_pb2_grpc.GRPCInferenceServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def failure(call: Callable[..., Any], request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=20)
    return raised.value.code(), raised.value.details()


def test_typed_contents_and_refusals_over_grpc(stub: service_pb2_grpc.GRPCInferenceServiceStub) -> None:
    request = service_pb2.ModelInferRequest(model_name="house", id="7")
    tensor = request.inputs.add(name="area", datatype="FP32", shape=[2])
    tensor.contents.fp32_contents.extend([1.5, 2])
    response = stub.ModelInfer(request, timeout=20)
    assert (response.model_version, response.id, response.outputs[0].name) == ("1", "7", "prediction")
    assert np.frombuffer(response.raw_output_contents[0], np.float32).tolist() == [3, 4]
    tensor.shape[:] = [1 << 28]
    assert failure(stub.ModelInfer, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "input 'area': shape [268435456] has 268,435,456 values. Received: 2",
    )
    request.model_version = "9"
    assert failure(stub.ModelInfer, request)[0] is grpc.StatusCode.NOT_FOUND
    unknown = service_pb2.ModelMetadataRequest(name="nope")
    assert failure(stub.ModelMetadata, unknown)[0] is grpc.StatusCode.NOT_FOUND
    assert failure(stub.RepositoryIndex, service_pb2.RepositoryIndexRequest())[0] is grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture(scope="module")
def triton(server: Server) -> Any:
    return by_client("triton_client.py", server, "tritonclient[http,grpc]==2.73.0")


@pytest.fixture(scope="module")
def kserve(server: Server) -> Any:
    return by_client("kserve_client.py", server, "kserve==0.21.0")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritons_client(triton: Any, protocol: str) -> None:
    found = triton[protocol]
    assert found["live"] and found["ready"] and found["model_ready"] and not found["unknown_ready"]
    assert found["probability"] == [sigmoid(0.5), sigmoid(1.0)]
    assert found["label"] == ["yes", "yes"]
    assert found["only"] == ["probability"]
    assert found["bytes"] == "ff00c3a9ff"
    assert found["error"].startswith("input 'fare': expected datatype FP32. Received: FP64")
    assert found["inputs"] == ["area", "company", "fare", "hour", "miles"]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_kserves_client(kserve: Any, protocol: str) -> None:
    assert kserve[protocol] == {"live": True, "ready": True, "model_ready": True, "prediction": [3.0, 4.0]}
