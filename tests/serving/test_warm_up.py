"""TF Serving's warm-up requests, beside SavedModels from elsewhere and ours."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable, Iterable

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.models.servable import Servable
from serving.models.warm_up import RECORDS
from spec.errors import InputError

Load = Callable[..., Servable]


@pytest.fixture
def load(exports: dict[str, pathlib.Path], tmp_path: pathlib.Path) -> Load:
    """A version of an exported model with these records beside it, warmed up."""

    def made(model: str, records: Iterable[bytes], damage: Callable[[bytes], bytes] = bytes) -> Servable:
        folder = tmp_path / model
        shutil.copytree(exports[model], folder)
        path = folder / RECORDS
        path.parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
        path.write_bytes(damage(path.read_bytes()))
        servable = Servable(model, 1, folder)
        servable.warm_up()
        return servable

    return made


def predict(model: str, signature: str = "", **inputs: tf.Tensor) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = model
    log.predict_log.request.model_spec.signature_name = signature
    for name, values in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return log.SerializeToString()


def of_examples() -> list[bytes]:
    """Regress and MultiInference, of an area of 2."""
    example = tf.train.Example()
    example.features.feature["area"].float_list.value.append(2.0)
    regress, multi = prediction_log_pb2.PredictionLog(), prediction_log_pb2.PredictionLog()
    regress.regress_log.request.input.example_list.examples.append(example)
    multi.multi_inference_log.request.input.example_list.examples.append(example)
    multi.multi_inference_log.request.tasks.add(method_name="tensorflow/serving/regress")
    return [regress.SerializeToString(), multi.SerializeToString()]


def test_all_kinds_of_requests_are_asked(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "serving")
    load("house", [predict("house", area=tf.constant([1.0])), *of_examples()])
    assert "house version 1: answered 3 requests of assets.extra/tf_serving_warmup_requests" in caplog.text


def test_a_model_from_elsewhere(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "serving")
    scale = predict("codec", "scale", x=tf.ones([2, 3]), by=tf.constant(2.0))
    load("codec", [predict("codec", image=tf.constant([b"x"])), scale])
    assert "answered 2 requests" in caplog.text


def streamed() -> bytes:
    log = prediction_log_pb2.PredictionLog()
    log.predict_streamed_log.SetInParent()
    return log.SerializeToString()


@pytest.mark.parametrize(
    ("records", "damage", "message"),
    [
        ([b""], lambda raw: raw[:-2], "is no whole TFRecord: "),
        ([b"\xff"], bytes, "record 1 is no PredictionLog."),
        ([b"", predict("house", zzz=tf.ones([1]))], bytes, "record 2 fails: there is no input 'zzz'."),
        ([predict("house", "zzz")], bytes, "record 1 fails: house has no signature 'zzz'"),
        ([streamed()], bytes, "record 1 fails: predict_streamed_log is not among"),
        ([b""] * 1001, bytes, "more than 1,000 requests, which is TF Serving's limit."),
    ],
)
def test_a_version_is_not_served_where_its_requests_cannot_be_asked(
    load: Load, records: list[bytes], damage: Callable[[bytes], bytes], message: str
) -> None:
    with pytest.raises(InputError) as raised:
        load("house", records, damage)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_a_thousand_are_asked(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "serving")
    load("house", [b""] * 1000)  # a log without a request is none, as in TF Serving
    assert "answered 1000 requests" in caplog.text
