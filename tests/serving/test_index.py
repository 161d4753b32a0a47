"""A release whose items have an index, behind a real server: it answers, and what cannot be read of it is not served."""

from __future__ import annotations

import json
import pathlib

import grpc
import pytest
import saved_models
import tensorflow as tf
from conftest import wait_for
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

INDEX = pathlib.Path("assets.extra") / "index"


@pytest.fixture
def export(tmp_path: pathlib.Path) -> pathlib.Path:
    return saved_models.save_indexed(tmp_path / "export")


def by_grpc(server, users: list[int]) -> list[list[str]]:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "films"
    request.inputs["user"].CopyFrom(tf.make_tensor_proto(users, tf.int64))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)
    assert set(response.outputs) == {"items", "scores"}
    return [[one.decode() for one in row] for row in tf.make_ndarray(response.outputs["items"]).tolist()]


def test_the_index_answers_where_it_finds_enough(export: pathlib.Path, publish, start) -> None:
    exact = tf.saved_model.load(str(export)).signatures["serving_default"](user=tf.constant([0, 1, 2], tf.int64))
    publish("films", export)
    server = start().wait_until_ready()
    status, answer, _ = server.post("films:predict", {"instances": [{"user": user} for user in range(3)]})
    assert status == 200
    for row, found in enumerate(answer["predictions"]):
        wanted = [one.decode() for one in exact["items"].numpy()[row].tolist()]
        if row == 0:  # has had what the index found
            assert found["items"] == wanted and set(wanted) == {"277", "278", "279"}
            assert found["scores"] == pytest.approx(exact["scores"].numpy()[row].tolist(), abs=1e-5)
        else:
            even = [one for one in found["items"] if int(one) % 2 == 0]
            assert even == found["items"] != wanted
    assert by_grpc(server, [0, 1, 2]) == [one["items"] for one in answer["predictions"]]
    status, vectors, _ = server.post("films:predict", {"signature_name": "query_embedding", "instances": [{"user": 1}]})
    assert status == 200 and len(vectors["predictions"][0]) == 8


@pytest.mark.parametrize("what", ["changed after publishing", "of another format", "not an index"])
def test_an_index_that_cannot_be_read_is_not_served(export: pathlib.Path, publish, store, start, what: str) -> None:
    publish("films", export)
    server = start("--model", "films").wait_until_ready()
    if what == "of another format":
        said = json.loads((export / INDEX / "index.json").read_text())
        (export / INDEX / "index.json").write_text(json.dumps(said | {"format": 2}))
    if what == "not an index":
        (export / INDEX / "hnsw.faiss").write_bytes(b"none at all")
    release = publish("films", export, None)
    if what == "changed after publishing":
        graph = pathlib.Path(release.uri) / INDEX / "hnsw.faiss"
        graph.chmod(0o644)
        graph.write_bytes(graph.read_bytes()[:-100])
    store.set_label("films", "canary", 2, reason="r", actor="a")
    said = {"changed after publishing": "bytes instead of", "of another format": "this Trainyard reads 1"}
    line = wait_for(lambda: [one for one in server.log().splitlines() if "version 2 is refused" in one])[0]
    assert said.get(what, "the index of the items cannot be read") in line and "Traceback" not in server.log()
    assert server.get("/healthz")[1]["models"]["films"] == {"stable": 1}
    assert by_grpc(server, [1])
