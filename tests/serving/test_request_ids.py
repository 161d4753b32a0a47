"""A request's id: taken from the caller or made, answered back, and in the record with each row's number."""

from __future__ import annotations

import http.client
import json
import pathlib
import re
from typing import Any

import grpc
import pytest
import tensorflow as tf
from conftest import Publish, Server, wait_for
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.inference.record import is_sampled
from serving.inference.request_ids import request_id

ROWS = {"instances": [{"fare": 2.5, "hour": 1}, {"fare": 3.0, "hour": 2}]}
MADE = "[0-9a-f]{32}"


def ask(server: Server, body: Any, **headers: str) -> tuple[int, str]:
    """Status, and the id that was answered."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest, timeout=60)
    connection.request("POST", "/v1/models/taxi:predict", json.dumps(body), headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.headers["X-Request-Id"]


def recorded(folder: pathlib.Path) -> list[tuple[str, int]]:
    lines = [line for path in folder.glob("taxi/*.jsonl") for line in path.read_text().splitlines()]
    return [(row["request_id"], row["row"]) for row in map(json.loads, lines)]


def test_an_id_is_answered_back_and_recorded(
    start: Any, publish: Publish, exports: dict[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    publish("taxi", exports["taxi_0"])
    server = start("--record", str(tmp_path / "record"), "--record-rate", "1").wait_until_ready()
    assert ask(server, ROWS, **{"X-Request-Id": "order/17:a"}) == (200, "order/17:a")
    assert ask(server, {"instances": []}, **{"X-Request-Id": "bad"})[1] == "bad", "a refusal too says what it is about"
    status, made = ask(server, ROWS, **{"X-Request-Id": "no,good"})
    assert status == 200 and re.fullmatch(MADE, made)

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "taxi"
    request.inputs["fare"].CopyFrom(tf.make_tensor_proto([2.5]))
    request.inputs["hour"].CopyFrom(tf.make_tensor_proto([1], tf.int64))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        _, call = stub.Predict.with_call(request, timeout=20, metadata=(("x-request-id", "g-1"),))
        assert dict(call.trailing_metadata())["x-request-id"] == "g-1"
        request.model_spec.name = "nobody"
        with pytest.raises(grpc.RpcError) as refused:
            stub.Predict(request, timeout=20, metadata=(("x-request-id", "g-2"),))
        assert dict(refused.value.trailing_metadata())["x-request-id"] == "g-2"
    wanted = [("order/17:a", 0), ("order/17:a", 1), (made, 0), (made, 1), ("g-1", 0)]
    wait_for(lambda: len(recorded(tmp_path / "record")) == len(wanted))
    assert recorded(tmp_path / "record") == wanted


@pytest.mark.parametrize("given", [None, "", "a b", "a,b", 'a"b', "é", "x" * 129, b"bin", "a\n"])
def test_an_id_that_is_not_fit_to_be_kept_is_replaced(given: Any) -> None:
    assert re.fullmatch(MADE, request_id(given))


def test_the_longest_id_is_kept() -> None:
    assert request_id("x" * 128) == "x" * 128


def test_the_sample_is_a_matter_of_the_id() -> None:
    chosen = {n for n in range(20_000) if is_sampled(f"order-{n}", 0.1)}
    assert 0.09 < len(chosen) / 20_000 < 0.11  # of 20,000 at random: 0.1 within 5 standard deviations of 0.002
    assert chosen <= {n for n in range(20_000) if is_sampled(f"order-{n}", 0.2)}, "a larger share keeps what it had"
    assert all(is_sampled(f"order-{n}", 1) and not is_sampled(f"order-{n}", 0) for n in range(1000))
