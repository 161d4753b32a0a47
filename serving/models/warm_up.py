"""Requests that lie beside a SavedModel and are asked once it is loaded, in TF Serving's format (SavedModel warm-up)."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.codec.protos import examples_of, to_array
from serving.codec.tensors import Arrays
from serving.errors import BadRequestError, ServingError
from spec.errors import InputError

RECORDS = "assets.extra/tf_serving_warmup_requests"
MOST_RECORDS = 1000
_ONE_OF_TASKS = {"tensorflow/serving/classify": "classify", "tensorflow/serving/regress": "regress"}

Ask = Callable[[str, str, "Arrays | np.ndarray"], object]
"""Asks a model: (method, signature name, inputs); the inputs of classify and regress are serialized tf.Examples."""


def replay(folder: pathlib.Path, ask: Ask) -> int:
    """Asks each recorded request once; returns how many there were, 0 without a file of them.

    Raises:
        InputError: as TF Serving, the version is not served where the file is damaged, a request of it fails, or there are more than
            MOST_RECORDS.
    """
    path = folder / RECORDS
    asked = 0
    for asked, record in enumerate(_records(path), start=1):
        if asked > MOST_RECORDS:
            raise InputError(
                f"{path}: more than {MOST_RECORDS:,} requests, which is TF Serving's limit. Keep fewer of them."
            )
        try:
            for method, signature, inputs in _requests(prediction_log_pb2.PredictionLog.FromString(record)):
                ask(method, signature, inputs)
        except DecodeError:
            raise InputError(
                f"{path}: record {asked} is no PredictionLog. Write it anew, or leave the file out."
            ) from None
        except ServingError as error:
            raise InputError(f"{path}: record {asked} fails: {error} Mend it, or leave it out.") from None
    return asked


def _records(path: pathlib.Path) -> Iterator[bytes]:
    if not path.exists():
        return
    try:
        yield from tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    except tf.errors.DataLossError as error:
        raise InputError(f"{path}: is no whole TFRecord: {error.message} Write it anew, or leave it out.") from None


def _requests(log: prediction_log_pb2.PredictionLog) -> Iterator[tuple[str, str, Arrays | np.ndarray]]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        arrays = {name: to_array(name, proto) for name, proto in request.inputs.items()}
        yield "predict", request.model_spec.signature_name, arrays
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        yield kind.removesuffix("_log"), request.model_spec.signature_name, examples_of(request.input)
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        for task in request.tasks:
            if task.method_name not in _ONE_OF_TASKS:
                raise BadRequestError(
                    f"a task's method_name must be one of {', '.join(_ONE_OF_TASKS)}. Received: {task.method_name!r}"
                )
            yield _ONE_OF_TASKS[task.method_name], task.model_spec.signature_name, examples_of(request.input)
    elif kind is not None:
        raise BadRequestError(f"{kind} is not among those that TF Serving warms a model up with.")
