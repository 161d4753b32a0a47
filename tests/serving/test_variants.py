"""Compressed variants of a release, behind a real server: each answers by its name, and what cannot be read is not served."""

from __future__ import annotations

import pathlib
import shutil
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from conftest import wait_for
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import answering

ROWS = [
    {"fare": 5.0, "miles": 1.0, "area": 3, "company": "A", "hour": 7},
    {"fare": 1.0, "area": 3, "company": "B", "hour": 1},
]
VARIANTS = pathlib.Path("assets.extra") / "variants"


def network() -> bytes:
    """Doubles its features and sums them."""
    traced = tf.function(lambda feature_0: {"output": tf.reduce_sum(2 * feature_0, axis=1, keepdims=True)})
    concrete = traced.get_concrete_function(tf.TensorSpec([None, 3], tf.float32, "feature_0"))
    content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert()
    return content


def save_around(folder: pathlib.Path) -> pathlib.Path:
    """A SavedModel of the two signatures that a network runs between, with that network."""

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def features(x):
        return {"feature_0": x + 1}

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="output")])
    def answers(output):
        return {"prediction": output[:, 0]}

    tf.saved_model.save(tf.Module(), str(folder), signatures={"features": features, "answers": answers})
    answering.write_network(folder, network())
    return folder


@pytest.fixture
def export(exports, tmp_path: pathlib.Path) -> pathlib.Path:
    """A taxi model with a variant that is another taxi model."""
    shutil.copytree(exports["taxi_0"], tmp_path / "export")
    shutil.copytree(exports["taxi_3"], tmp_path / "export" / VARIANTS / "other")
    return tmp_path / "export"


def by_grpc(server, signature: str, name: str) -> np.ndarray:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "taxi", signature
    dtypes = {"fare": tf.float32, "miles": tf.float32, "area": tf.int64, "company": tf.string, "hour": tf.int64}
    for column, value in ROWS[0].items():
        request.inputs[column].CopyFrom(tf.make_tensor_proto([value], dtypes[column]))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)
    return tf.make_ndarray(response.outputs[name])


def test_a_variant_answers_by_its_name_alone(export: pathlib.Path, exports, publish, start) -> None:
    publish("taxi", export)
    publish("other", exports["taxi_3"])
    server = start().wait_until_ready()
    body = {"instances": ROWS}
    status, own, _ = server.post("taxi:predict", body)
    _, variant, _ = server.post("taxi:predict", {**body, "signature_name": "other"})
    _, expected, _ = server.post("other:predict", body)
    assert status == 200 and variant == expected != own
    output = next(name for name, value in own["predictions"][0].items() if isinstance(value, float))
    assert by_grpc(server, "other", output)[0] == pytest.approx(expected["predictions"][0][output], abs=1e-6)
    _, told, _ = server.get("/v1/models/taxi/metadata")
    signatures = told["metadata"]["signature_def"]["signature_def"]
    assert signatures["other"] == signatures["serving_default"]
    status, refused, _ = server.post("taxi:predict", {**body, "signature_name": "third"})
    assert status == 400 and "other" in refused["error"]
    bad = {"instances": [{**ROWS[0], "hour": "seven"}], "signature_name": "other"}
    status, refused, _ = server.post("taxi:predict", bad)
    assert status == 400 and "hour" in refused["error"]


def test_a_variant_that_cannot_be_read_is_not_served(export: pathlib.Path, publish, store, start) -> None:
    publish("taxi", export)
    server = start("--model", "taxi").wait_until_ready()
    save_around(export / VARIANTS / "int8")
    (export / VARIANTS / "int8" / "assets.extra" / "litert" / "network.tflite").write_bytes(b"no network at all")
    publish("taxi", export)

    told = wait_for(lambda: [one for one in _statuses(server) if one["version"] == "2" and one["state"] == "END"])
    assert "the network cannot be read" in told[0]["status"]["error_message"]
    assert server.post("taxi:predict", {"instances": ROWS})[0] == 200


def _statuses(server) -> list[dict]:
    return server.get("/v1/models/taxi")[1]["model_version_status"]


def test_a_network_is_run_by_many_threads_with_any_number_of_rows(tmp_path: pathlib.Path) -> None:
    folder = save_around(tmp_path / "around")
    model = answering.answerer(folder, answering.SavedModel(folder).entry)
    assert (list(model.inputs), list(model.outputs)) == (["x"], ["prediction"])
    wrong: list[int] = []

    def ask(seed: int) -> None:
        random = np.random.default_rng(seed)
        for rows in random.integers(0, 70, 40):
            x = random.normal(size=(rows, 3)).astype(np.float32)
            found = model.call({"x": x})["prediction"]
            if found.shape != (rows,) or not np.allclose(found, 2 * (x + 1).sum(axis=1), atol=1e-4):
                wrong.append(rows)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not wrong
