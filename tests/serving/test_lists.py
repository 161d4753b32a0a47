"""Answers that are lists, such as a user's items with their scores, go wherever one number goes."""

from __future__ import annotations

import json
import pathlib
import re

import grpc
import pytest
import saved_models
import tensorflow as tf
from conftest import wait_for
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

ANSWER = {"items": ["item 3", "item 4", "item 5"], "numbers": [3, 4, 5], "scores": [0.9, 0.5, 0.1]}


@pytest.fixture
def server(publish, start, tmp_path):
    saved_models.save_recommender(tmp_path / "export")
    publish("films", tmp_path / "export")
    publish("films", tmp_path / "export", "canary")
    return start("--record", str(tmp_path / "record"), "--record-rate", "1").wait_until_ready()


def give_share(server, store) -> None:
    """All that names no version goes to the canary."""
    store.set_label("films", "canary", 2, share=1.0, reason="test", actor="test")
    wait_for(lambda: re.search(r'canary_share{model="films".* 1\.0\n', server.get("/metrics")[1]))


def test_lists_of_texts_and_numbers(server, store, tmp_path: pathlib.Path) -> None:
    give_share(server, store)
    status, by_row, _ = server.post("films:predict", {"instances": [{"user": "ann"}, {"user": "ben"}]})
    assert status == 200 and by_row == {"predictions": [ANSWER, ANSWER]}
    _, by_column, _ = server.post("films:predict", {"inputs": {"user": ["ann"]}})
    assert by_column == {"outputs": {name: [values] for name, values in ANSWER.items()}}

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "films"
    request.inputs["user"].CopyFrom(tf.make_tensor_proto(["ann"]))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)
    assert tf.make_ndarray(response.outputs["items"]).tolist() == [[b"item 3", b"item 4", b"item 5"]]
    assert tf.make_ndarray(response.outputs["numbers"]).tolist() == [[3, 4, 5]]

    metrics = server.get("/metrics")[1]  # by the first of them
    assert 'predictions_total{bin="item 3",model="films",output="items",version="2"} 4.0' in metrics
    record = tmp_path / "record" / "films"
    lines = wait_for(
        lambda: len(found := [x for p in record.glob("*") for x in p.read_text().splitlines()]) > 3 and found
    )
    first = json.loads(lines[0])
    assert (first["label"], first["columns"], first["prediction"]) == ("canary", {"user": "ann"}, ANSWER)
