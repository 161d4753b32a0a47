"""The official client, unmodified, gets answers from a release of each family."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import families
import grpc
import numpy as np
import pytest
import tensorflow as tf
from conftest import Server, publisher
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from model_store import ModelStore

Ask = Callable[..., Any]
LEAST = float(np.finfo(np.float32).min)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("families")
    store = ModelStore(folder / "models")
    for name in families.NAMES:
        publisher(store)(name, families.save(folder / name, name))
    running = Server(folder, store).wait_until_ready()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ask(server: Server) -> Iterator[Ask]:
    """The outputs that a model answers to inputs, as TensorProtos by name."""
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        client = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def answer(model: str, **inputs: Any) -> Any:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            for name, values in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
            return client.Predict(request, timeout=20).outputs

        yield answer


def picture(red: int, blue: int) -> bytes:
    return bytes(tf.io.encode_png(tf.constant([[[red, 0, blue]]], tf.uint8)).numpy())


def test_the_bytes_of_an_image(ask: Ask) -> None:
    outputs = ask("image", image=[picture(200, 10), picture(10, 200)])
    assert list(outputs["label"].string_val) == [b"red", b"blue"]
    assert tf.make_ndarray(outputs["probabilities"]).argmax(axis=1).tolist() == [2, 0]


def test_a_text(ask: Ask) -> None:
    outputs = ask("text", body=["win a prize", "see you at ten"])
    assert list(outputs["label"].string_val) == [b"spam", b"ham"]


def test_numbers_are_where_clients_without_tensorflow_look(ask: Ask) -> None:
    """TF Serving fills `float_val`, and not `tensor_content`."""
    outputs = ask("text", body=["win a prize", "see you at ten"])
    assert list(outputs["probability"].float_val) == [0.75, 0.25]
    assert [dim.size for dim in outputs["probability"].tensor_shape.dim] == [2]


def test_several_labels_one_and_none(ask: Ask) -> None:
    outputs = ask("multilabel", body=["a long text", "say", "a"])
    assert list(outputs["label"].string_val) == [b"art;sport", b"sport", b""]
    assert tf.make_ndarray(outputs["probabilities"])[2].tolist() == [0.125, 0.0, 0.25]


def test_a_list_of_items(ask: Ask) -> None:
    outputs = ask("retrieval", user=["ann", "somebody new"])
    items, scores = (tf.make_ndarray(outputs[name]) for name in ("items", "scores"))
    assert items.tolist() == [[b"b", b"c", b""], [b"a", b"b", b"c"]]
    assert scores.tolist() == [[0.5, 0.25, LEAST], [0.75, 0.5, 0.25]]


def test_pictures_for_seeds(ask: Ask, server: Server) -> None:
    seeds = tf.constant([7, 8, 7], tf.int64)
    first, second, again = ask("generation", seed=seeds)["picture_bytes"].string_val
    assert first == again != second
    assert tf.io.decode_png(first).shape == (4, 4, 1)
    _, answer, _ = server.post("generation:predict", {"instances": [{"seed": 7}]})
    assert base64.b64decode(answer["predictions"][0]["picture_bytes"]["b64"]) == first
