"""A caller's trace goes on in the server, over REST and gRPC."""

from __future__ import annotations

import grpc
import pytest
from conftest import wait_for
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tests.collector import collector

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
RPC = "/tensorflow.serving.ModelService/GetModelStatus"
_SERVER = 2  # OpenTelemetry's number for the kind


@pytest.fixture
def double():
    with collector() as double:
        yield double


def test_requests_are_spans_below_their_callers(double, monkeypatch, publish, start, exports):
    publish("house", exports["house"])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", double.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    server = start().wait_until_ready()
    path = "/v1/models/house:predict"
    server.ask("POST", path, {"instances": [1, 2]}, {"traceparent": PARENT, "X-Request-Id": "order-1"})
    server.ask("POST", path, {"instances": [1]})
    request = get_model_status_pb2.GetModelStatusRequest()
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.GetModelStatus(request, metadata=[("traceparent", PARENT)], timeout=20)
    wait_for(lambda: len(double.spans(path)) == 2 and double.spans(RPC), 10)
    continued, own = double.spans(path)
    assert (continued.service, continued.kind) == ("trainyard-serving", _SERVER)
    assert (continued.trace_id, continued.parent_id) == (TRACE, "b7ad6b7169203331")
    told = {
        "model": "house",
        "version": "1",
        "label": "stable",
        "method": "predict",
        "rows": 2,
        "request_id": "order-1",
    }
    assert continued.attributes.items() >= {f"trainyard.{name}": value for name, value in told.items()}.items()
    assert continued.attributes["http.response.status_code"] == 200 and not continued.failed
    assert own.trace_id != TRACE and own.parent_id == ""
    (rpc,) = double.spans(RPC)
    assert (rpc.trace_id, rpc.attributes["rpc.response.status_code"]) == (TRACE, "NOT_FOUND")
