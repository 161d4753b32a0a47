"""TF Serving's gRPC services: PredictionService and ModelService."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.codec.tensors import by_input
from serving.errors import BadRequestError, ServingError
from serving.inference.inference import METADATA, Call, Inference, Request
from serving.inference.request_ids import HEADER, request_id
from serving.models.servable import CLASSIFY, REGRESS
from serving.tfserving._status import SIGNATURE_DEF, signature_def_map, status_response

_log = logging.getLogger(__name__)
_Response = TypeVar("_Response")
# Where a TensorProto has the values of a type.
_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.uint8: "int_val",
    tf.bool: "bool_val",
}
_MOST_REPEATED = 1 << 20


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        return self._answer("predict", request.model_spec, context, lambda call: _predict(call, request))

    def Classify(
        self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        def answer(call: Call) -> classification_pb2.ClassificationResponse:
            result = _classify(call, request.model_spec.signature_name, _examples(request.input))
            return classification_pb2.ClassificationResponse(model_spec=_spec(call, request.model_spec), result=result)

        return self._answer(CLASSIFY, request.model_spec, context, answer)

    def Regress(
        self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        def answer(call: Call) -> regression_pb2.RegressionResponse:
            result = _regress(call, request.model_spec.signature_name, _examples(request.input))
            return regression_pb2.RegressionResponse(model_spec=_spec(call, request.model_spec), result=result)

        return self._answer(REGRESS, request.model_spec, context, answer)

    def MultiInference(
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        if not request.tasks:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tasks: at least one is needed.")
        if len({task.model_spec.name for task in request.tasks}) > 1:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tasks: all must name the same model.")

        def answer(call: Call) -> inference_pb2.MultiInferenceResponse:
            examples = _examples(request.input)
            return inference_pb2.MultiInferenceResponse(results=[_task(call, task, examples) for task in request.tasks])

        return self._answer("multi_inference", request.tasks[0].model_spec, context, answer)

    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        def answer(call: Call) -> get_model_metadata_pb2.GetModelMetadataResponse:
            if set(request.metadata_field) != {SIGNATURE_DEF}:
                found = ", ".join(request.metadata_field) or "nothing"
                raise BadRequestError(f"metadata_field: only {SIGNATURE_DEF!r} is known. Received: {found}")
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_spec(call, request.model_spec))
            response.metadata[SIGNATURE_DEF].Pack(signature_def_map(call.servable))
            return response

        return self._answer(METADATA, request.model_spec, context, answer)

    def _answer(
        self, method: str, spec: model_pb2.ModelSpec, context: grpc.ServicerContext, answer: Callable[[Call], _Response]
    ) -> _Response:
        asked = request_id(dict(context.invocation_metadata()).get(HEADER))
        context.set_trailing_metadata(((HEADER, asked),))
        try:
            self._inference.accept()
            self._inference.admit()
            try:
                return self._inference.answer(Request(asked, "grpc", method, spec.name, *_wanted(spec)), answer)
            finally:
                self._inference.leave()
        except ServingError as error:
            _abort(context, error)
        except Exception as error:
            _log.exception("%s of %s failed", method, spec.name)
            context.abort(grpc.StatusCode.INTERNAL, f"the server failed: {type(error).__name__}. Its log says more.")
        raise AssertionError("context.abort raises")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """GetModelStatus. The store and the command line decide which models are served, not callers."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        try:
            return status_response(self._inference.manager, request.model_spec.name, *_wanted(request.model_spec))
        except ServingError as error:
            _abort(context, error)
        raise AssertionError("context.abort raises")

    def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "models follow the labels of the model store: `trainyard release promote`, or restart with other options.",
        )


def make_server(inference: Inference, threads: int, max_bytes: int, most: int) -> grpc.Server:
    """A gRPC server with both services, neither bound nor started.

    Args:
        max_bytes: the largest message.
        most: requests at once, those that wait for a thread included; more are refused.
    """
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
        maximum_concurrent_rpcs=most,
        options=[
            ("grpc.so_reuseport", 0),  # otherwise a second server would silently share the port
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.max_send_message_length", -1),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(inference), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(inference), server)
    return server


def _abort(context: grpc.ServicerContext, error: ServingError) -> None:
    context.abort(grpc.StatusCode[error.grpc_status], str(error))


def _wanted(spec: model_pb2.ModelSpec) -> tuple[int | None, str | None]:
    """The version and label that a ModelSpec asks for."""
    choice = spec.WhichOneof("version_choice")
    return (
        int(spec.version.value) if choice == "version" else None,
        str(spec.version_label) if choice == "version_label" else None,
    )


def _spec(call: Call, asked: model_pb2.ModelSpec) -> model_pb2.ModelSpec:
    """The ModelSpec of an answer; it always has the version that answered."""
    spec = model_pb2.ModelSpec(name=asked.name, signature_name=asked.signature_name)
    spec.version.value = call.servable.version
    return spec


def _predict(call: Call, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
    signature = call.servable.signature(request.model_spec.signature_name)
    if unknown := set(request.output_filter) - signature.outputs.keys():
        raise BadRequestError(
            f"output_filter: there is no output {sorted(unknown)[0]!r}. Known: {', '.join(signature.outputs)}"
        )
    arrays = {name: _array(name, proto) for name, proto in request.inputs.items()}
    outputs = call.run(signature, by_input(arrays, signature.inputs, "inputs"))
    response = predict_pb2.PredictResponse(model_spec=_spec(call, request.model_spec))
    response.model_spec.signature_name = signature.name
    for name in request.output_filter or outputs:
        response.outputs[name].CopyFrom(_proto(outputs[name]))
    return response


def _proto(array: np.ndarray[Any, Any]) -> Any:
    """A TensorProto with its values in the field of their type, as TF Serving sends it.

    `tf.make_tensor_proto` packs numbers as bytes instead, and clients that read `float_val`, as many do, find nothing.
    """
    kind = tf.as_dtype(array.dtype)
    if kind not in _FIELDS:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=kind.as_datatype_enum, tensor_shape=tf.TensorShape(array.shape).as_proto())
    getattr(proto, _FIELDS[kind]).extend(array.ravel().tolist())
    return proto


def _array(name: str, proto: tensor_pb2.TensorProto) -> np.ndarray[Any, Any]:
    _insist_on_values(name, proto)
    try:
        array: np.ndarray[Any, Any] = tf.make_ndarray(proto)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequestError(f"input {name!r} is not a valid TensorProto: {error}") from None
    return array


def _insist_on_values(name: str, proto: tensor_pb2.TensorProto) -> None:
    """Raises BadRequestError where a tensor would be far larger than its message: the last value is repeated up to the shape."""
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if any(size < 0 for size in sizes):
        raise BadRequestError(f"input {name!r}: a shape has no negative sizes. Received: {sizes}")
    wanted = math.prod(sizes)
    given = sum(len(values) for field, values in proto.ListFields() if field.name.endswith("_val"))
    if not proto.tensor_content and given < wanted and wanted > _MOST_REPEATED:
        raise BadRequestError(
            f"input {name!r}: shape {sizes} has {wanted:,} values, and {given:,} are given; more than {_MOST_REPEATED:,} have to be "
            "given one by one."
        )


def _examples(given: input_pb2.Input) -> np.ndarray[Any, Any]:
    """Serialized tf.Example, [N], with the context merged into each."""
    kind = given.WhichOneof("kind")
    examples = list(getattr(given, kind).examples) if kind else []
    if not examples:
        raise BadRequestError("input: at least one example is needed, in example_list or example_list_with_context.")
    if kind == "example_list_with_context":
        for example in examples:
            for name, feature in given.example_list_with_context.context.features.feature.items():
                example.features.feature[name].CopyFrom(feature)
    array = np.empty(len(examples), dtype=object)
    array[:] = [example.SerializeToString() for example in examples]
    return array


def _classify(call: Call, name: str, examples: np.ndarray[Any, Any]) -> classification_pb2.ClassificationResult:
    classes, scores = call.classify(call.servable.signature_for(CLASSIFY, name), examples)
    labels = np.full(scores.shape, b"", dtype=object) if classes is None else classes
    result = classification_pb2.ClassificationResult()
    for names, row in zip(labels, scores.tolist(), strict=True):
        pairs = zip(names, row, strict=True)
        result.classifications.add(
            classes=[
                classification_pb2.Class(label=label.decode(errors="replace"), score=score) for label, score in pairs
            ]
        )
    return result


def _regress(call: Call, name: str, examples: np.ndarray[Any, Any]) -> regression_pb2.RegressionResult:
    values = call.regress(call.servable.signature_for(REGRESS, name), examples)
    return regression_pb2.RegressionResult(regressions=[regression_pb2.Regression(value=v) for v in values.tolist()])


def _task(
    call: Call, task: inference_pb2.InferenceTask, examples: np.ndarray[Any, Any]
) -> inference_pb2.InferenceResult:
    method = task.method_name.removeprefix("tensorflow/serving/")
    result = inference_pb2.InferenceResult(model_spec=_spec(call, task.model_spec))
    if method == CLASSIFY:
        result.classification_result.CopyFrom(_classify(call, task.model_spec.signature_name, examples))
    elif method == REGRESS:
        result.regression_result.CopyFrom(_regress(call, task.model_spec.signature_name, examples))
    else:
        raise BadRequestError(
            "method_name must be tensorflow/serving/classify or tensorflow/serving/regress. "
            f"Received: {task.method_name!r}"
        )
    return result
