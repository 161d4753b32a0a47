"""TF Serving's gRPC services: PredictionService and ModelService."""

from __future__ import annotations

import logging
import math
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio
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

from serving.codec.tensors import Arrays, by_input
from serving.errors import BadRequestError, ServingError
from serving.http.aside import Aside
from serving.inference.inference import METADATA, Call, Inference, Request, Work
from serving.inference.request_ids import HEADER, request_id
from serving.models.servable import CLASSIFY, REGRESS, Signature
from serving.tfserving._status import SIGNATURE_DEF, signature_def_map, status_response

_log = logging.getLogger(__name__)
_Response = TypeVar("_Response")
Context: TypeAlias = grpc.aio.ServicerContext
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
    """Predict, Classify, Regress, MultiInference and GetModelMetadata.

    Args:
        aside: decodes and encodes what is large.
    """

    def __init__(self, inference: Inference, aside: Aside) -> None:
        self._inference, self._aside = inference, aside

    async def Predict(self, request: predict_pb2.PredictRequest, context: Context) -> predict_pb2.PredictResponse:
        async def answer(call: Call) -> predict_pb2.PredictResponse:
            signature, arrays = await self._aside.run(request.ByteSize(), lambda: _asked(call, request))
            outputs = await call.run(signature, arrays)
            size = sum(one.nbytes for one in outputs.values())
            return await self._aside.run(size, lambda: _predicted(call, request, signature, outputs))

        return await self._answer("predict", request.model_spec, context, answer)

    async def Classify(
        self, request: classification_pb2.ClassificationRequest, context: Context
    ) -> classification_pb2.ClassificationResponse:
        async def answer(call: Call) -> classification_pb2.ClassificationResponse:
            examples = await self._examples(request)
            result = await _classify(call, request.model_spec.signature_name, examples)
            return classification_pb2.ClassificationResponse(model_spec=_spec(call, request.model_spec), result=result)

        return await self._answer(CLASSIFY, request.model_spec, context, answer)

    async def Regress(
        self, request: regression_pb2.RegressionRequest, context: Context
    ) -> regression_pb2.RegressionResponse:
        async def answer(call: Call) -> regression_pb2.RegressionResponse:
            examples = await self._examples(request)
            result = await _regress(call, request.model_spec.signature_name, examples)
            return regression_pb2.RegressionResponse(model_spec=_spec(call, request.model_spec), result=result)

        return await self._answer(REGRESS, request.model_spec, context, answer)

    async def MultiInference(
        self, request: inference_pb2.MultiInferenceRequest, context: Context
    ) -> inference_pb2.MultiInferenceResponse:
        if not request.tasks:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tasks: at least one is needed.")
        if len({task.model_spec.name for task in request.tasks}) > 1:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tasks: all must name the same model.")

        async def answer(call: Call) -> inference_pb2.MultiInferenceResponse:
            examples = await self._examples(request)
            results = [await _task(call, task, examples) for task in request.tasks]
            return inference_pb2.MultiInferenceResponse(results=results)

        return await self._answer("multi_inference", request.tasks[0].model_spec, context, answer)

    async def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: Context
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        async def answer(call: Call) -> get_model_metadata_pb2.GetModelMetadataResponse:
            if set(request.metadata_field) != {SIGNATURE_DEF}:
                found = ", ".join(request.metadata_field) or "nothing"
                raise BadRequestError(f"metadata_field: only {SIGNATURE_DEF!r} is known. Received: {found}")
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_spec(call, request.model_spec))
            response.metadata[SIGNATURE_DEF].Pack(signature_def_map(call.servable))
            return response

        return await self._answer(METADATA, request.model_spec, context, answer)

    async def _examples(self, request: Any) -> np.ndarray[Any, Any]:
        return await self._aside.run(request.ByteSize(), lambda: _examples(request.input))

    async def _answer(
        self, method: str, spec: model_pb2.ModelSpec, context: Context, answer: Work[_Response]
    ) -> _Response:
        asked = request_id(dict(context.invocation_metadata() or ()).get(HEADER))
        context.set_trailing_metadata(((HEADER, asked),))
        try:
            self._inference.accept()
            return await self._inference.answer(Request(asked, "grpc", method, spec.name, *_wanted(spec)), answer)
        except ServingError as error:
            await _abort(context, error)
        except Exception as error:
            _log.exception("%s of %s failed", method, spec.name)
            await context.abort(
                grpc.StatusCode.INTERNAL, f"the server failed: {type(error).__name__}. Its log says more."
            )
        raise AssertionError("context.abort raises")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """GetModelStatus. The store and the command line decide which models are served, not callers."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    async def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: Context
    ) -> get_model_status_pb2.GetModelStatusResponse:
        try:
            return status_response(self._inference.manager, request.model_spec.name, *_wanted(request.model_spec))
        except ServingError as error:
            await _abort(context, error)
        raise AssertionError("context.abort raises")

    async def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: Context
    ) -> model_management_pb2.ReloadConfigResponse:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "models follow the labels of the model store: `trainyard release promote`, or restart with other options.",
        )


def add_services(server: grpc.aio.Server, inference: Inference, aside: Aside) -> None:
    """Makes a server answer TF Serving's two services."""
    predictions = PredictionService(inference, aside)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(predictions, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(inference), server)


async def _abort(context: Context, error: ServingError) -> None:
    await context.abort(grpc.StatusCode[error.grpc_status], str(error))


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


def _asked(call: Call, request: predict_pb2.PredictRequest) -> tuple[Signature, Arrays]:
    """Which signature is asked, and its tensors as it takes them."""
    signature = call.servable.signature(request.model_spec.signature_name)
    if unknown := set(request.output_filter) - signature.outputs.keys():
        raise BadRequestError(
            f"output_filter: there is no output {sorted(unknown)[0]!r}. Known: {', '.join(signature.outputs)}"
        )
    arrays = {name: _array(name, proto) for name, proto in request.inputs.items()}
    return signature, call.servable.checked(signature, by_input(arrays, signature.inputs, "inputs"))


def _predicted(
    call: Call, request: predict_pb2.PredictRequest, signature: Signature, outputs: Arrays
) -> predict_pb2.PredictResponse:
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


async def _classify(call: Call, name: str, examples: np.ndarray[Any, Any]) -> classification_pb2.ClassificationResult:
    classes, scores = await call.classify(call.servable.signature_for(CLASSIFY, name), examples)
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


async def _regress(call: Call, name: str, examples: np.ndarray[Any, Any]) -> regression_pb2.RegressionResult:
    values = await call.regress(call.servable.signature_for(REGRESS, name), examples)
    return regression_pb2.RegressionResult(regressions=[regression_pb2.Regression(value=v) for v in values.tolist()])


async def _task(
    call: Call, task: inference_pb2.InferenceTask, examples: np.ndarray[Any, Any]
) -> inference_pb2.InferenceResult:
    method = task.method_name.removeprefix("tensorflow/serving/")
    result = inference_pb2.InferenceResult(model_spec=_spec(call, task.model_spec))
    if method == CLASSIFY:
        result.classification_result.CopyFrom(await _classify(call, task.model_spec.signature_name, examples))
    elif method == REGRESS:
        result.regression_result.CopyFrom(await _regress(call, task.model_spec.signature_name, examples))
    else:
        raise BadRequestError(
            "method_name must be tensorflow/serving/classify or tensorflow/serving/regress. "
            f"Received: {task.method_name!r}"
        )
    return result
