"""TF Serving's gRPC services: PredictionService and ModelService."""

from __future__ import annotations

import collections
import functools
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
import grpc.aio
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.codec.decoding import raise_unknown
from serving.codec.protos import examples_of, to_array, to_proto
from serving.codec.tensors import Arrays, by_input, size_of
from serving.errors import BadRequestError, UnsupportedError
from serving.http.aside import Aside
from serving.inference.inference import METADATA, Call, Inference, Request, Work
from serving.models.servable import CLASSIFY, REGRESS, Signature
from serving.rpc.answered import Context, answered
from serving.rpc.methods import Methods
from serving.tfserving._status import SIGNATURE_DEF, signature_def_map, status_response

_Response = TypeVar("_Response")
SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")


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
            return await self._aside.run(size_of(outputs), lambda: _predicted(call, request, signature, outputs))

        return await self._answer("predict", request.model_spec, context, answer)

    async def Classify(
        self, request: classification_pb2.ClassificationRequest, context: Context
    ) -> classification_pb2.ClassificationResponse:
        return await self._of_examples(CLASSIFY, request, context, _classify, classification_pb2.ClassificationResponse)

    async def Regress(
        self, request: regression_pb2.RegressionRequest, context: Context
    ) -> regression_pb2.RegressionResponse:
        return await self._of_examples(REGRESS, request, context, _regress, regression_pb2.RegressionResponse)

    async def MultiInference(
        self, request: inference_pb2.MultiInferenceRequest, context: Context
    ) -> inference_pb2.MultiInferenceResponse:
        async def answer(request_id: str) -> inference_pb2.MultiInferenceResponse:
            model = _only_model(request.tasks)
            targets = [_wanted(task.model_spec) for task in request.tasks]
            _refuse_twice(request.tasks, targets)
            examples = await self._examples(request)
            results: dict[int, inference_pb2.InferenceResult] = {}
            # Tasks that ask the same version have one answer: by stable, or by the canary, and not some by either.
            for target in dict.fromkeys(targets):
                asked = {place: request.tasks[place] for place, one in enumerate(targets) if one == target}
                self._inference.accept()
                results |= await self._inference.answer(
                    Request(request_id, "grpc", "multi_inference", model, *target),
                    functools.partial(_tasks, asked, examples),
                )
            return inference_pb2.MultiInferenceResponse(results=[results[place] for place in sorted(results)])

        return await answered(context, "multi_inference", answer)

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

    async def _of_examples(
        self,
        method: str,
        request: Any,
        context: Context,
        ask: Callable[[Call, str, np.ndarray[Any, Any]], Awaitable[Any]],
        response: Callable[..., _Response],
    ) -> _Response:
        async def answer(call: Call) -> _Response:
            result = await ask(call, request.model_spec.signature_name, await self._examples(request))
            return response(model_spec=_spec(call, request.model_spec), result=result)

        return await self._answer(method, request.model_spec, context, answer)

    async def _examples(self, request: Any) -> np.ndarray[Any, Any]:
        return await self._aside.run(request.ByteSize(), lambda: examples_of(request.input))

    async def _answer(
        self, method: str, spec: model_pb2.ModelSpec, context: Context, answer: Work[_Response]
    ) -> _Response:
        def ask(request_id: str) -> Awaitable[_Response]:
            self._inference.accept()
            return self._inference.answer(Request(request_id, "grpc", method, spec.name, *_wanted(spec)), answer)

        return await answered(context, f"{method} of {spec.name}", ask)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """GetModelStatus. The store and the command line decide which models are served, not callers."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    async def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: Context
    ) -> get_model_status_pb2.GetModelStatusResponse:
        async def answer(_: str) -> get_model_status_pb2.GetModelStatusResponse:
            return status_response(self._inference.manager, request.model_spec.name, *_wanted(request.model_spec))

        return await answered(context, f"status of {request.model_spec.name}", answer)

    async def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: Context
    ) -> model_management_pb2.ReloadConfigResponse:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "models follow the labels of the model store: `trainyard release promote`, or restart with other options.",
        )


def add_services(methods: Methods, inference: Inference, aside: Aside) -> None:
    """Makes a server answer TF Serving's two services."""
    predictions = PredictionService(inference, aside)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(predictions, methods)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(inference), methods)


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
    given = by_input(request.inputs, signature.inputs, "inputs")
    # Before any is read: a small message may name many large tensors.
    if unknown := given.keys() - signature.inputs.keys():
        raise_unknown(unknown, signature.inputs, "inputs")
    return signature, call.servable.checked(signature, {name: to_array(name, proto) for name, proto in given.items()})


def _predicted(
    call: Call, request: predict_pb2.PredictRequest, signature: Signature, outputs: Arrays
) -> predict_pb2.PredictResponse:
    response = predict_pb2.PredictResponse(model_spec=_spec(call, request.model_spec))
    response.model_spec.signature_name = signature.name
    for name in dict.fromkeys(request.output_filter) or outputs:
        response.outputs[name].CopyFrom(to_proto(outputs[name]))
    return response


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


def _only_model(tasks: Sequence[inference_pb2.InferenceTask]) -> str:
    names = {task.model_spec.name for task in tasks}
    if len(names) != 1:
        received = ", ".join(sorted(map(repr, names))) or "no task"
        raise BadRequestError(f"tasks: at least one is needed, and all must name the same model. Received: {received}")
    return str(names.pop())


def _refuse_twice(tasks: Sequence[inference_pb2.InferenceTask], targets: Sequence[Hashable]) -> None:
    """Raises BadRequestError for a task that stands there twice: a small message could ask for any amount of work."""
    asked = collections.Counter(
        (target, task.method_name, task.model_spec.signature_name) for target, task in zip(targets, tasks, strict=True)
    )
    ((_, method, signature), times), *_ = asked.most_common(1)
    if times > 1:
        raise BadRequestError(f"tasks: {method!r} of the signature {signature!r} is asked {times:,} times; ask once.")


async def _tasks(
    tasks: Mapping[int, inference_pb2.InferenceTask], examples: np.ndarray[Any, Any], call: Call
) -> dict[int, inference_pb2.InferenceResult]:
    return {place: await _task(call, task, examples) for place, task in tasks.items()}


async def _task(
    call: Call, task: inference_pb2.InferenceTask, examples: np.ndarray[Any, Any]
) -> inference_pb2.InferenceResult:
    result = inference_pb2.InferenceResult(model_spec=_spec(call, task.model_spec))
    if task.method_name == f"tensorflow/serving/{CLASSIFY}":
        result.classification_result.CopyFrom(await _classify(call, task.model_spec.signature_name, examples))
    elif task.method_name == f"tensorflow/serving/{REGRESS}":
        result.regression_result.CopyFrom(await _regress(call, task.model_spec.signature_name, examples))
    else:
        raise UnsupportedError(
            "method_name must be tensorflow/serving/classify or tensorflow/serving/regress. "
            f"Received: {task.method_name!r}"
        )
    return result
