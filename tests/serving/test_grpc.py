"""The official tensorflow-serving-api client, unmodified, against a real server."""

from __future__ import annotations

import math

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

ROW = {"fare": [5.0], "miles": [1.5], "area": [3], "company": ["x"], "hour": [4]}
TYPES = {"fare": tf.float32, "miles": tf.float32, "area": tf.int64, "company": tf.string, "hour": tf.int64}


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        yield channel


@pytest.fixture(scope="module")
def client(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict_request(model="taxi", row=None, types=TYPES, version=None, label=None, signature=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    for name, values in (ROW if row is None else row).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, dtype=types.get(name)))
    return request


def probability(response):
    return tf.make_ndarray(response.outputs["probability"]).tolist()


def sigmoid(x):
    return pytest.approx(1 / (1 + math.exp(-x)))


def failure(call, request):
    with pytest.raises(grpc.RpcError) as raised:
        call(request, timeout=20)
    return raised.value.code(), raised.value.details()


def example(**features):
    made = tf.train.Example()
    for name, value in features.items():
        target = made.features.feature[name]
        if isinstance(value, float):
            target.float_list.value.append(value)
        else:
            target.int64_list.value.append(value)
    return made


def test_predict(client):
    response = client.Predict(predict_request(), timeout=20)
    assert probability(response) == [sigmoid(0.5)]
    assert tf.make_ndarray(response.outputs["label"]).tolist() == [b"yes"]
    assert response.model_spec.name == "taxi"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"


def test_version_and_label(client):
    assert client.Predict(predict_request(version=2), timeout=20).model_spec.version.value == 2
    response = client.Predict(predict_request(label="canary"), timeout=20)
    assert response.model_spec.version.value == 2
    assert probability(response) == [sigmoid(1.5)]
    assert client.Predict(predict_request(label="stable"), timeout=20).model_spec.version.value == 1


def test_output_filter_and_missing_nullable_inputs(client):
    request = predict_request(row={"fare": [0.0, 0.0], "hour": [1, 2]})
    request.output_filter.append("probability")
    response = client.Predict(request, timeout=20)
    assert list(response.outputs) == ["probability"]
    assert probability(response) == [sigmoid(3.0)] * 2


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (predict_request(model="nope"), "NOT_FOUND", "there is no model 'nope' here"),
        (predict_request(version=9), "NOT_FOUND", "taxi version 9 is not loaded"),
        (predict_request(label="beta"), "NOT_FOUND", "no label 'beta' loaded"),
        (predict_request(signature="nope"), "INVALID_ARGUMENT", "taxi has no signature 'nope'"),
        (predict_request(row={"hour": [1]}), "INVALID_ARGUMENT", "input 'fare' is missing"),
        (predict_request(row=ROW | {"zzz": [1.0]}), "INVALID_ARGUMENT", "there is no input 'zzz'"),
        (predict_request(row=ROW | {"fare": [[1.0]]}), "INVALID_ARGUMENT", "input 'fare': expected shape [?]"),
        (
            predict_request(types=TYPES | {"fare": tf.float64}),
            "INVALID_ARGUMENT",
            "expected type float32. Received: float64",
        ),
        (predict_request(types=TYPES | {"hour": tf.int32}), "INVALID_ARGUMENT", "expected type int64. Received: int32"),
        (predict_request(row=ROW | {"fare": ["a"]}, types=TYPES | {"fare": tf.string}), "INVALID_ARGUMENT", "string"),
        (
            predict_request(row=ROW | {"fare": [1.0, 2.0]}),
            "INVALID_ARGUMENT",
            "area 1, company 1, fare 2, hour 1, miles 1",
        ),
    ],
)
def test_errors_have_their_code_and_one_line(client, request_, code, message):
    found, details = failure(client.Predict, request_)
    assert found == grpc.StatusCode[code]
    assert message in details
    assert "\n" not in details


def test_output_filter_of_an_unknown_output(client):
    request = predict_request()
    request.output_filter.append("zzz")
    code, details = failure(client.Predict, request)
    assert (code, details[:38]) == (grpc.StatusCode.INVALID_ARGUMENT, "output_filter: there is no output 'zzz")


def test_classify(client):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "taxi"
    request.input.example_list.examples.append(example(fare=5.0, hour=1, miles=1.0, area=1))
    response = client.Classify(request, timeout=20)
    assert response.model_spec.version.value == 1
    (classification,) = response.result.classifications
    assert [one.label for one in classification.classes] == ["no", "yes"]
    assert classification.classes[1].score == sigmoid(1.5)  # company is missing


def test_classify_with_a_context(client):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "taxi"
    request.input.example_list_with_context.context.CopyFrom(example(hour=1))
    request.input.example_list_with_context.examples.extend([example(fare=5.0), example(fare=-5.0)])
    assert len(client.Classify(request, timeout=20).result.classifications) == 2


def test_regress(client):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "house"
    request.input.example_list.examples.extend([example(area=2.0), example(area=1.5)])
    assert [one.value for one in client.Regress(request, timeout=20).result.regressions] == [4.0, 3.0]


def test_regress_of_a_classifier_and_without_examples(client):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "taxi"
    request.input.example_list.examples.append(example(fare=1.0, hour=1))
    code, details = failure(client.Regress, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "is not for regress" in details
    request.input.Clear()
    assert "at least one example" in failure(client.Regress, request)[1]


def multi_inference(*tasks):
    """A request for one example: (model, method, version, label) each."""
    request = inference_pb2.MultiInferenceRequest()
    request.input.example_list.examples.append(example(fare=5.0, hour=1))
    for model, method, version, label in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = model
        if version:
            task.model_spec.version.value = version
        if label:
            task.model_spec.version_label = label
    return request


def test_each_task_of_a_multi_inference_is_answered_by_the_version_that_it_names(client):
    tasks = [("taxi", "classify", None, "canary"), ("taxi", "classify", None, None), ("taxi", "classify", 2, None)]
    results = client.MultiInference(multi_inference(*tasks), timeout=20).results
    assert [one.model_spec.version.value for one in results] == [2, 1, 2]
    scores = [one.classification_result.classifications[0].classes[1].score for one in results]
    assert scores == [sigmoid(4.5), sigmoid(3.5), sigmoid(4.5)]


@pytest.mark.parametrize(
    ("tasks", "code", "message"),
    [
        ([], "INVALID_ARGUMENT", "tasks: at least one is needed"),
        (
            [("taxi", "classify", None, None), ("house", "regress", None, None)],
            "INVALID_ARGUMENT",
            "all must name the same model. Received: 'house', 'taxi'",
        ),
        ([("taxi", "predict", None, None)], "UNIMPLEMENTED", "Received: 'tensorflow/serving/predict'"),
        ([("taxi", "classify", 9, None)], "NOT_FOUND", "taxi version 9 is not loaded"),
    ],
)
def test_a_multi_inference_that_is_refused(client, tasks, code, message):
    found, details = failure(client.MultiInference, multi_inference(*tasks))
    assert (found, message in details) == (grpc.StatusCode[code], True)


def test_metadata(client):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "taxi"
    response = client.GetModelMetadata(request, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["serving_default"].inputs) == set(ROW)
    assert response.model_spec.version.value == 1
    request.metadata_field[0] = "other"
    assert failure(client.GetModelMetadata, request)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_model_status(channel):
    service = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "taxi"
    response = service.GetModelStatus(request, timeout=20)
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(one.version, one.state) for one in response.model_version_status] == [(2, available), (1, available)]
    request.model_spec.version_label = "canary"
    assert [one.version for one in service.GetModelStatus(request, timeout=20).model_version_status] == [2]
    request.model_spec.name = "nope"
    assert failure(service.GetModelStatus, request)[0] == grpc.StatusCode.NOT_FOUND


def test_reload_config_is_not_a_callers_to_ask(channel):
    service = model_service_pb2_grpc.ModelServiceStub(channel)
    code, details = failure(service.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest())
    assert code == grpc.StatusCode.UNIMPLEMENTED
    assert "labels" in details


def test_a_small_message_does_not_become_a_large_tensor(client):
    request = predict_request()
    request.inputs["fare"].ClearField("float_val")
    request.inputs["fare"].tensor_content = b""
    request.inputs["fare"].float_val.append(1.0)
    for size, message in ((1 << 28, "one by one"), (-5, "no negative sizes")):
        request.inputs["fare"].tensor_shape.dim[0].size = size
        code, details = failure(client.Predict, request)
        assert code is grpc.StatusCode.INVALID_ARGUMENT and message in details


def test_examples_hold_what_their_types_take(server):
    def posted(**row):
        return server.post("house:regress", {"examples": [row]})

    for value, message in (
        (1e39, "outside the range of float32"),
        (16777217, "may lose digits"),
        ([], "expected a value"),
    ):
        status, answer, _ = posted(area=value)
        assert status == 400 and message in answer["error"], answer
