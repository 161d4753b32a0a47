"""What TF Serving does corner by corner, and what this server does, asked: `python tests/serving/conformance.py` writes the page.

TF Serving itself cannot be run here: what it does is read in its source (tensorflow/serving, commit 9d981c5).
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
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

sys.path[:0] = [str(pathlib.Path(__file__).parents[2]), str(pathlib.Path(__file__).parent)]

import saved_models  # noqa: E402
from conftest import Server, publisher  # noqa: E402

from model_store import ModelStore  # noqa: E402

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "tf-serving-conformance.md"
_HEAD = """\
# TF Serving, corner by corner

Written by `python tests/serving/conformance.py`: the column "here" is what a server answered while the page was written, and
a test fails where it answers otherwise. TF Serving's binary is in no package registry and was not run; what it does was read
in its source at commit 9d981c5 (2026-07-30), in the file or test that the row names. Of refusals the code is compared; the
words are each server's own.

The models are small ones: `house` answers twice the area and has a signature `regress`; `taxi` is a binary classifier with
five features (version 1 is stable, 2 is the canary); `codec` is a SavedModel from elsewhere that takes and gives bytes. REST
was asked as `curl` asks, gRPC with the official package `tensorflow-serving-api`, unmodified. `min-tfs-client`, which has TF
Serving's messages without TensorFlow, is asked in `tests/serving/test_conformance.py`.
"""


@dataclasses.dataclass(frozen=True)
class Corner:
    """Something that clients may meet.

    Attributes:
        theirs: what TF Serving answers, as `Asker` would say it.
        source: the file or test of TF Serving that says so.
        why: why this server does otherwise; empty where it does the same.
    """

    what: str
    theirs: str
    source: str
    ask: Callable[[Asker], str]
    why: str = ""


class Asker:
    """Asks a server, and says in a word or two what it answered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def http(self, method: str, path: str, body: Any = None, pick: Callable[[Any], Any] = lambda answer: answer) -> str:
        """The status, and of an answer what `pick` takes of it."""
        status, answer, _ = self._server.ask(method, path, body)
        return f"{status} {_compact(pick(answer))}" if status == 200 else str(status)

    def post(self, path: str, body: Any, pick: Callable[[Any], Any] = lambda answer: answer) -> str:
        return self.http("POST", f"/v1/models/{path}", body, pick)

    def rpc(self, call: Callable[..., Any], request: Any, pick: Callable[[Any], Any]) -> str:
        """What `pick` takes of the answer, or the code of the refusal."""
        try:
            return _compact(pick(call(request, timeout=20)))
        except grpc.RpcError as error:
            return str(error.code().name)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(", ", ": "))


def _predict(model: str = "house", signature: str = "", outputs: Sequence[str] = (), **inputs: Any) -> Any:
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return request


def _with_example(request: Any, model: str = "", **features: float) -> Any:
    if model:
        request.model_spec.name = model
    example = request.input.example_list.examples.add()
    for name, value in features.items():
        feature = example.features.feature[name]
        (feature.float_list if isinstance(value, float) else feature.int64_list).value.append(value)
    return request


def _multi(*tasks: tuple[str, str]) -> Any:
    request = _with_example(inference_pb2.MultiInferenceRequest(), area=2.0)
    for model, method in tasks:
        request.tasks.add(method_name=f"tensorflow/serving/{method}").model_spec.name = model
    return request


def _status(**spec: Any) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = spec["name"]
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    return request


def _metadata(model: str, *fields: str) -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = model
    return request


_AREA = {"area": tf.constant([1.5, 2.0])}
_TEST, _UTIL, _API = "json_tensor_test.cc", "http_rest_api_util.cc", "g3doc/api_rest.md"
_HANDLER = "http_rest_api_handler_test.cc"
_TAXI = {"fare": 5.0, "hour": 1}

REST = [
    Corner(
        "Row form; a single output has no name",
        '200 {"predictions": [3.0, 4.0]}',
        f"{_API}, FromJsonSingleTensor",
        lambda ask: ask.post("house:predict", {"instances": [1.5, 2.0]}),
    ),
    Corner(
        "Row form by name",
        '200 {"predictions": [3.0]}',
        _API,
        lambda ask: ask.post("house:predict", {"instances": [{"area": 1.5}]}),
    ),
    Corner(
        "Column form",
        '200 {"outputs": [3.0, 4.0]}',
        f"{_TEST}, SingleUnnamedTensorColumnarFormat",
        lambda ask: ask.post("house:predict", {"inputs": {"area": [1.5, 2.0]}}),
    ),
    Corner(
        "Column form of a single input without its name",
        '200 {"outputs": [3.0, 4.0]}',
        f"{_TEST}, SingleUnnamedTensorColumnarFormat",
        lambda ask: ask.post("house:predict", {"inputs": [1.5, 2.0]}),
    ),
    Corner(
        "Several outputs, by name in each row",
        '200 [{"image_bytes": {"b64": "eP8="}, "length": 1}]',
        f"{_TEST}, FromJsonMultipleNamedTensors",
        lambda ask: ask.post("codec:predict", {"instances": ["x"]}, lambda answer: answer["predictions"]),
    ),
    Corner(
        "Bytes in requests as `b64`",
        "200 2",
        f"{_TEST}, SingleUnnamedTensorBase64Scalars",
        lambda ask: ask.post(
            "codec:predict", {"instances": [{"b64": "/9g="}]}, lambda answer: answer["predictions"][0]["length"]
        ),
    ),
    Corner(
        "An output whose name ends in `_bytes` comes as `b64`",
        '200 {"b64": "eP8="}',
        f"{_API}, FromJsonSingleBytesTensor",
        lambda ask: ask.post(
            "codec:predict", {"instances": ["x"]}, lambda answer: answer["predictions"][0]["image_bytes"]
        ),
    ),
    Corner(
        "Base64 that is none",
        "400",
        "json_tensor.cc, JsonDecodeBase64Object",
        lambda ask: ask.post("codec:predict", {"instances": [{"b64": "?"}]}),
    ),
    Corner(
        "NaN and Infinity as tokens, in and out",
        "200 [NaN, Infinity, -Infinity]",
        f"{_API}, FromJsonSingleFloatTensorNonFinite",
        lambda ask: ask.post(
            "codec:predict",
            b'{"signature_name": "scale", "inputs": {"x": [[NaN, Infinity, -Infinity]], "by": 1.0}}',
            lambda answer: answer["outputs"][0],
        ),
    ),
    Corner(
        "A whole number for a decimal one",
        '200 {"predictions": [4.0]}',
        f"{_TEST}, MixedInputForFloatTensor",
        lambda ask: ask.post("house:predict", {"instances": [2]}),
    ),
    Corner(
        "A whole number that float32 has no value for",
        '200 {"predictions": [2871548670.0]}',
        f"{_TEST}, FloatTensorWithPrecisionLoss",
        lambda ask: ask.post("house:predict", {"instances": [1435774380]}),
        why="Refused, so that no digit is lost unseen; written 1435774380.0 it is rounded.",
    ),
    Corner(
        "A number beyond float32",
        '200 {"predictions": [Infinity]}',
        f"{_TEST}, FloatTensorThatExceedsMaxReturnsInf",
        lambda ask: ask.post("house:predict", {"instances": [1e300]}),
        why="Refused: it is not what was sent.",
    ),
    Corner(
        "A text for a number",
        "400",
        f"{_HANDLER}, PredictRequestErrors",
        lambda ask: ask.post("house:predict", {"instances": ["x"]}),
    ),
    Corner(
        "Rows of unequal shape",
        "400",
        f"{_TEST}, SingleUnnamedTensorErrors",
        lambda ask: ask.post("digits:predict", {"instances": [[1.0, 2.0], [3.0]]}),
    ),
    Corner(
        "`instances` and `inputs` together",
        "400",
        f"{_TEST}, SingleUnnamedTensorErrors",
        lambda ask: ask.post("house:predict", {"instances": [1.0], "inputs": [1.0]}),
    ),
    Corner(
        "Neither `instances` nor `inputs`",
        "400",
        "json_tensor.cc, FillPredictRequestFromJson",
        lambda ask: ask.post("house:predict", {}),
    ),
    Corner("An empty body", "400", f"{_HANDLER}, PredictRequestErrors", lambda ask: ask.post("house:predict", b"")),
    Corner(
        "`signature_name` that is no text",
        "400",
        f"{_HANDLER}, PredictRequestErrors",
        lambda ask: ask.post("house:predict", {"signature_name": 100, "instances": [1.0]}),
    ),
    Corner(
        "A signature that there is not",
        "400",
        "http_rest_api_handler.cc, GetInfoMap",
        lambda ask: ask.post("house:predict", {"signature_name": "zzz", "instances": [1.0]}),
    ),
    Corner(
        "Classify",
        '200 [[["no", 0.029], ["yes", 0.971]]]',
        "ClassifyRegressnResultTest",
        lambda ask: ask.post(
            "taxi:classify",
            {"signature_name": "classify", "examples": [_TAXI]},
            lambda answer: [[[label, round(score, 3)] for label, score in row] for row in answer["results"]],
        ),
    ),
    Corner(
        "Digits of a float32 that six do not say",
        "200 0.970687747",
        "json_tensor.cc, WriteDecimal",
        lambda ask: ask.post(
            "taxi:classify",
            {"signature_name": "classify", "examples": [_TAXI]},
            lambda answer: answer["results"][0][1][1],
        ),
        why="The shortest text that reads back as the same float32, and not nine digits.",
    ),
    Corner(
        "Features common to all examples in `context`",
        "200 2",
        f"{_TEST}, RequestWithContextAndSignature",
        lambda ask: ask.post(
            "taxi:classify",
            {"signature_name": "classify", "context": {"hour": 1}, "examples": [{"fare": 1.0}, {"fare": 2.0}]},
            lambda answer: len(answer["results"]),
        ),
    ),
    Corner(
        "A feature in `context` and in an example",
        "400",
        f"{_TEST}, ClassifyRegressRequestTest.JsonErrors",
        lambda ask: ask.post(
            "taxi:classify", {"signature_name": "classify", "context": {"hour": 1}, "examples": [_TAXI]}
        ),
    ),
    Corner(
        "Regress",
        '200 {"results": [4.0]}',
        f"{_TEST}, JsonFromRegressionResult",
        lambda ask: ask.post("house:regress", {"signature_name": "regress", "examples": [{"area": 2.0}]}),
    ),
    Corner(
        "Regress without a signature's name, where the default takes no tf.Examples",
        "400",
        "regressor.cc, PreProcessRegression",
        lambda ask: ask.post("house:regress", {"examples": [{"area": 2.0}]}),
        why="Answered by the signature of the method's name.",
    ),
    Corner(
        "A version",
        '200 "2"',
        _API,
        lambda ask: ask.http(
            "GET", "/v1/models/taxi/versions/2/metadata", None, lambda answer: answer["model_spec"]["version"]
        ),
    ),
    Corner(
        "A label",
        '200 "2"',
        _API,
        lambda ask: ask.http(
            "GET", "/v1/models/taxi/labels/canary/metadata", None, lambda answer: answer["model_spec"]["version"]
        ),
    ),
    Corner(
        "Neither version nor label",
        '200 "2"',
        f"{_API}: the latest",
        lambda ask: ask.http("GET", "/v1/models/taxi/metadata", None, lambda answer: answer["model_spec"]["version"]),
        why="The stable version: one that was merely published must not reach users.",
    ),
    Corner(
        "A label that there is not",
        "400",
        "server_core.cc; PredictRequestErrors",
        lambda ask: ask.post("taxi/labels/zzz:predict", {"instances": [_TAXI]}),
        why="404, as for a version that there is not.",
    ),
    Corner(
        "A version that there is not",
        "404",
        f"{_HANDLER}, PredictModelNameVersionErrors",
        lambda ask: ask.post("taxi/versions/99:predict", {"instances": [_TAXI]}),
    ),
    Corner(
        "A model that there is not",
        "404",
        f"{_HANDLER}, PredictModelNameVersionErrors",
        lambda ask: ask.post("foo:predict", {"instances": [1]}),
    ),
    Corner(
        "A version that is no number",
        "400",
        f"{_HANDLER}, UnsupportedApiCalls",
        lambda ask: ask.post("taxi/versions/HELLO:predict", {"instances": [_TAXI]}),
    ),
    Corner(
        "A path that is none",
        "400",
        f"{_HANDLER}, UnsupportedApiCalls",
        lambda ask: ask.http("GET", "/v1/models/debug/model_name"),
        why="404, as HTTP has it.",
    ),
    Corner(
        "GET of `:predict`",
        "400",
        f"{_HANDLER}, UnsupportedApiCalls",
        lambda ask: ask.http("GET", "/v1/models/house:predict"),
        why="405, as HTTP has it.",
    ),
    Corner(
        "Which models there are",
        "400",
        f"{_HANDLER}, UnsupportedApiCalls",
        lambda ask: ask.http("GET", "/v1/models", None, lambda answer: [one["name"] for one in answer["models"]]),
        why="They are listed.",
    ),
    Corner(
        "Status",
        '200 [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]',
        f"{_API}, GetStatus",
        lambda ask: ask.http("GET", "/v1/models/house", None, lambda answer: answer["model_version_status"]),
    ),
    Corner(
        "Metadata: the signatures as the SavedModel has them",
        '200 {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": false}}',
        f"{_HANDLER}, GetModelMetadata",
        lambda ask: ask.http("GET", "/v1/models/house/metadata", None, _input_without_name),
    ),
    Corner(
        "Paths in capitals",
        '200 {"predictions": [4.0]}',
        f"{_UTIL}, (?i)",
        lambda ask: ask.http("POST", "/V1/Models/house:Predict", {"instances": [2.0]}),
        why="Paths are as written, as elsewhere in HTTP.",
    ),
]


def _input_without_name(answer: Any) -> Any:
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    return {name: value for name, value in signatures["serving_default"]["inputs"]["area"].items() if name != "name"}


GRPC = [
    Corner(
        "Predict: numbers in the field of their type",
        "[3.0, 4.0]",
        "predict_util.cc, kAsProtoField",
        lambda ask: ask.rpc(
            ask.predictions.Predict, _predict(**_AREA), lambda answer: list(answer.outputs["prediction"].float_val)
        ),
    ),
    Corner(
        "The answer names the version and the signature that answered",
        '[1, "serving_default"]',
        "predict_util.cc, MakeModelSpec",
        lambda ask: ask.rpc(
            ask.predictions.Predict,
            _predict(**_AREA),
            lambda answer: [answer.model_spec.version.value, answer.model_spec.signature_name],
        ),
    ),
    Corner(
        "`output_filter`",
        '["length"]',
        "predict_util.cc, PreProcessPrediction",
        lambda ask: ask.rpc(
            ask.predictions.Predict, _predict("codec", outputs=["length"], image=["x"]), lambda a: list(a.outputs)
        ),
    ),
    Corner(
        "`output_filter` with an output that there is not",
        "INVALID_ARGUMENT",
        "predict_util.cc, PreProcessPrediction",
        lambda ask: ask.rpc(ask.predictions.Predict, _predict(outputs=["zzz"], **_AREA), lambda a: list(a.outputs)),
    ),
    Corner(
        "`output_filter` with an output twice",
        "INVALID_ARGUMENT",
        "predict_util.cc, PreProcessPrediction",
        lambda ask: ask.rpc(
            ask.predictions.Predict, _predict("codec", outputs=["length"] * 2, image=["x"]), lambda a: list(a.outputs)
        ),
        why="Answered once.",
    ),
    Corner(
        "An input too many",
        "INVALID_ARGUMENT",
        "predict_util.cc, VerifyRequestInputsSize",
        lambda ask: ask.rpc(ask.predictions.Predict, _predict(zzz=[1.0], **_AREA), str),
    ),
    Corner(
        "An input missing",
        "INVALID_ARGUMENT",
        "predict_util.cc, VerifyRequestInputsSize",
        lambda ask: ask.rpc(ask.predictions.Predict, _predict(), str),
    ),
    Corner(
        "An input of another type",
        "INVALID_ARGUMENT",
        "TensorFlow's Session.Run",
        lambda ask: ask.rpc(ask.predictions.Predict, _predict(area=tf.constant([1.0], tf.float64)), str),
    ),
    Corner(
        "A signature that there is not",
        "FAILED_PRECONDITION",
        "predict_util.cc, RunPredict",
        lambda ask: ask.rpc(ask.predictions.Predict, _predict(signature="zzz", **_AREA), str),
        why="INVALID_ARGUMENT: the request is at fault, and no time mends it.",
    ),
    Corner(
        "A model that there is not",
        "NOT_FOUND",
        "server_core.cc",
        lambda ask: ask.rpc(ask.predictions.Predict, _predict("foo", **_AREA), str),
    ),
    Corner(
        "Classify",
        '[["no", 0.029], ["yes", 0.971]]',
        "classifier.cc, PostProcessClassificationResult",
        lambda ask: ask.rpc(
            ask.predictions.Classify,
            _with_example(classification_pb2.ClassificationRequest(), "taxi", **_TAXI),
            lambda answer: [[one.label, round(one.score, 3)] for one in answer.result.classifications[0].classes],
        ),
    ),
    Corner(
        "Regress",
        "[4.0]",
        "regressor.cc, PostProcessRegressionResult",
        lambda ask: ask.rpc(
            ask.predictions.Regress,
            _with_example(regression_pb2.RegressionRequest(), "house", area=2.0),
            lambda answer: [one.value for one in answer.result.regressions],
        ),
    ),
    Corner(
        "Regress without examples",
        "INVALID_ARGUMENT",
        "util.cc, InputToSerializedExampleTensor",
        lambda ask: ask.rpc(
            ask.predictions.Regress,
            regression_pb2.RegressionRequest(model_spec=_status(name="house").model_spec),
            str,
        ),
    ),
    Corner(
        "MultiInference: each result has its model, and the version that answered",
        '[["house", 1, 4.0]]',
        "multi_inference.cc",
        lambda ask: ask.rpc(
            ask.predictions.MultiInference,
            _multi(("house", "regress")),
            lambda answer: [
                [
                    one.model_spec.name,
                    one.model_spec.version.value,
                    one.regression_result.regressions[0].value,
                ]
                for one in answer.results
            ],
        ),
    ),
    Corner(
        "MultiInference of two models",
        "INVALID_ARGUMENT",
        "multi_inference.cc, multi_inference_test.cc",
        lambda ask: ask.rpc(ask.predictions.MultiInference, _multi(("house", "regress"), ("taxi", "classify")), str),
    ),
    Corner(
        "MultiInference with another method",
        "UNIMPLEMENTED",
        "multi_inference.cc",
        lambda ask: ask.rpc(ask.predictions.MultiInference, _multi(("house", "predict")), str),
    ),
    Corner(
        "MultiInference with a signature twice",
        "INVALID_ARGUMENT",
        "multi_inference_test.cc",
        lambda ask: ask.rpc(
            ask.predictions.MultiInference,
            _multi(("house", "regress"), ("house", "regress")),
            lambda answer: len(answer.results),
        ),
    ),
    Corner(
        "GetModelMetadata",
        "[1]",
        "get_model_metadata_impl.cc",
        lambda ask: ask.rpc(
            ask.predictions.GetModelMetadata,
            _metadata("house", "signature_def"),
            lambda answer: [answer.model_spec.version.value],
        ),
    ),
    Corner(
        "GetModelMetadata without a field, or with one that there is not",
        "INVALID_ARGUMENT",
        "get_model_metadata_impl.cc",
        lambda ask: ask.rpc(ask.predictions.GetModelMetadata, _metadata("house"), str),
    ),
    Corner(
        "GetModelStatus",
        "[[1, 30]]",
        "get_model_status_impl.cc",
        lambda ask: ask.rpc(
            ask.models.GetModelStatus,
            _status(name="house"),
            lambda answer: [[one.version, one.state] for one in answer.model_version_status],
        ),
    ),
    Corner(
        "GetModelStatus of a version that there is not",
        "NOT_FOUND",
        "get_model_status_impl.cc",
        lambda ask: ask.rpc(ask.models.GetModelStatus, _status(name="house", version=9), str),
    ),
    Corner(
        "HandleReloadConfigRequest",
        "0",
        "model_service_impl.cc",
        lambda ask: ask.rpc(
            ask.models.HandleReloadConfigRequest,
            model_management_pb2.ReloadConfigRequest(),
            lambda answer: answer.status.error_code,
        ),
        why="The model store's labels decide what is served, not callers.",
    ),
]


def page(server: Server) -> str:
    """The page, of what a server answers."""
    asker = Asker(server)
    lines, wrong = [_HEAD], []
    for title, corners in (("REST", REST), ("gRPC", GRPC)):
        lines += [f"## {title}", "", "| what | TF Serving | source | here | |", "|---|---|---|---|---|"]
        for corner in corners:
            here = corner.ask(asker)
            lines.append(_row(corner, here))
            if (here == corner.theirs) == bool(corner.why):
                wrong.append(f"{corner.what}: TF Serving {corner.theirs}, here {here}, because {corner.why or '?'}")
        lines.append("")
    if wrong:
        raise AssertionError("\n".join(wrong))
    return "\n".join(lines)


def _row(corner: Corner, here: str) -> str:
    verdict = f"differs: {corner.why}" if corner.why else "same"
    cells = (corner.what, f"`{corner.theirs}`", corner.source, f"`{here}`", verdict)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def served(folder: pathlib.Path) -> Iterator[Server]:
    """A server of the models that the page speaks of."""
    store = ModelStore(folder / "models")
    publish = publisher(store)
    taxi = saved_models.save_taxi(folder / "taxi")
    publish("taxi", taxi)
    publish("taxi", taxi, "canary")
    publish("digits", saved_models.save_digits(folder / "digits"))
    publish("house", saved_models.save_house(folder / "house"))
    publish("codec", saved_models.save_codec(folder / "codec"))
    running = Server(folder, store).wait_until_ready()
    try:
        yield running
    finally:
        running.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for server in served(pathlib.Path(folder)):
            PAGE.write_text(page(server), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
