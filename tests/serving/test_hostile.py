"""What the search (tests/serving/fuzz) and a look for its kind have found: failures of the server, hangs, memory without end."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
import saved_models
import tensorflow as tf
from fuzz.wire import Wire
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import inference_pb2, input_pb2, predict_pb2

from serving.codec.decoding import decode_columns, parse_json
from serving.codec.examples import decode_examples
from serving.codec.forms import decode_form, parse_form
from serving.codec.protos import examples_of, to_array
from serving.codec.signature import TensorInfo
from serving.errors import BadRequestError
from serving.models.batching import Batching, PerModel
from serving.models.lane import LaneOptions
from serving.models.servable import Servable
from serving.open_inference._requests import text_parameter, version_of
from serving.open_inference._tensors import checked_shape

FLOAT, WHOLE, TEXT = np.dtype(np.float32), np.dtype(np.int64), np.dtype(object)
PREDICTION, V2 = "/tensorflow.serving.PredictionService/", "/inference.GRPCInferenceService/"
MIB = 1 << 20


def column(body: bytes, dtype: Any, *row: int | None) -> np.ndarray[Any, Any]:
    """An input of rows of this shape."""
    return decode_columns(parse_json(body)["inputs"], {"x": TensorInfo("x", np.dtype(dtype), (None, *row))})["x"]


def form(head: str, content: bytes = b"1", content_type: str = "multipart/form-data; boundary=B") -> dict[str, Any]:
    return parse_form(b"--B\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n--B--\r\n", content_type)


@pytest.mark.parametrize(
    ("body", "dtype", "message"),
    [
        (b'{"inputs": ["' + b"x" * 30_000 + b'"' + b",1" * 3000 + b"]}", FLOAT, r"inputs\[0\]: expected a number"),
        (
            b'{"inputs": [[[' + b"1," * 3000 + b"1]" + b",1" * 3000 + b"]]}",
            FLOAT,
            r"inputs\[0\]: expected a single value",
        ),
        (
            b'{"inputs": [[[' + b'"",' * 3000 + b'""]' + b',""' * 3000 + b"]]}",
            TEXT,
            r"inputs\[0\]: expected a single value",
        ),
    ],
)
def test_lists_take_no_more_memory_than_they_have_values(body: bytes, dtype: Any, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadRequestError, match=message):
            column(body, dtype)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ('[["a", "b"], ["c"], ["d", "e", "f"]]', (None,)),
        ('["a", ["b"]]', ()),
        ('[["a"], "b"]', (None,)),
        ('[[["a"], "b"], ["c", "d"]]', (None,)),
    ],
)
def test_texts_do_not_move_to_another_row(values: str, row: tuple[None, ...]) -> None:
    with pytest.raises(BadRequestError, match=r"inputs\[\d\]: expected (a single value|shape)"):
        column(f'{{"inputs": {values}}}'.encode(), TEXT, *row)


def test_what_the_server_writes_it_reads() -> None:
    written = np.array([3.4028234663852886e38, 1e-45, -3.4028234663852886e38], FLOAT)
    assert column(b'{"inputs": [3.4028235e38, 1e-45, -3.4028235e38]}', FLOAT).tolist() == written.tolist()
    with pytest.raises(BadRequestError, match="outside the range of float32"):
        column(b'{"inputs": [3.4028236e38]}', FLOAT)
    with pytest.raises(BadRequestError, match="outside the range of bfloat16"):
        column(b'{"inputs": [1e39]}', ml_dtypes.bfloat16)


@pytest.mark.parametrize("more", [b"", b', "z": NaN'])
def test_numbers_mean_the_same_with_a_nan_elsewhere(more: bytes) -> None:
    """Python's parser reads what orjson does not."""
    assert column(b'{"inputs": [18446744073709551616]' + more + b"}", FLOAT).tolist() == [2.0**64]
    for number in (b"1e400", b"9" * 400, b"9" * 5000):
        with pytest.raises(BadRequestError, match="not valid JSON"):
            parse_json(b'{"inputs": [' + number + b"]" + more + b"}")


@pytest.mark.parametrize("hidden", [str(2**70), "[" * 300 + "]" * 300])
def test_half_a_character_hides_behind_nothing(hidden: str) -> None:
    with pytest.raises(BadRequestError, match="not valid JSON"):
        parse_json(f'{{"inputs": ["\\ud800"], "a": NaN, "b": {hidden}}}'.encode())


def test_whole_numbers_of_thousands_of_digits() -> None:
    for version in ("9" * 5000, "٣", "²", "-1"):
        with pytest.raises(BadRequestError, match="a version is a whole number"):
            version_of(version)
    for shape in ([0, 2**63], [2**64 - 1, 0]):
        with pytest.raises(BadRequestError, match="whole numbers of at least 0"):
            checked_shape(shape, "input 'x'")


def test_what_is_nested_deep_is_shown_without_being_read() -> None:
    value: Any = 1
    for _ in range(1000):
        value = [value]
    with pytest.raises(BadRequestError, match=r"parameters.label: must be a string"):
        text_parameter({"label": value}, "label")


@pytest.mark.parametrize(
    "said",
    [
        "form-data; name*=x\0'a'b",
        "form-data; name*0=a; name*=b",
        f"form-data; name*{'9' * 5000}=a",
        'form-data; name="' + ";" * 100_000,
        "form-data; name=a; filename*0=a; filename*=b",
    ],
)
def test_a_forms_part_with_odd_parameters(said: str) -> None:
    with pytest.raises(BadRequestError, match=r"content-disposition|Content-Disposition|headers of"):
        form(f"Content-Disposition: {said}")


@pytest.mark.parametrize("more", ["boundary*=x\0'a'B", "boundary*0=B; boundary*=C", 'x="' + ";" * 60_000])
def test_a_content_type_with_odd_parameters(more: str) -> None:
    with pytest.raises(BadRequestError, match="content-type"):
        form('Content-Disposition: form-data; name="x"', content_type=f"multipart/form-data; {more}")


def test_a_small_request_does_not_become_a_large_one() -> None:
    inputs = {name: TensorInfo(name, FLOAT, (None, None)) for name in "xy"}
    with pytest.raises(BadRequestError, match="given once for 20,000 rows; give each row its own"):
        decode_form({"x": ["1"] * 20_000, "y": ["[" + "1," * 1000 + "1]"]}, inputs)
    with pytest.raises(BadRequestError, match=r"a context of .* in 20,000 examples makes more than"):
        decode_examples({"context": {"x": [1.5] * 1000}, "examples": [{}] * 20_000}, {})
    given = input_pb2.Input()
    context = given.example_list_with_context.context.features.feature["x"]
    context.float_list.value.extend([1.5] * 1000)
    for _ in range(20_000):
        given.example_list_with_context.examples.add()
    with pytest.raises(BadRequestError, match=r"a context of .* in 20,000 examples makes more than"):
        examples_of(given)
    proto = tf.make_tensor_proto([b"x" * MIB])
    proto.tensor_shape.dim[0].size = 16_000
    with pytest.raises(BadRequestError, match="have to be given one by one"):
        to_array("x", proto)


def test_tensors_of_no_values_and_of_no_type() -> None:
    empty = to_array("x", tensor_pb2.TensorProto(dtype=tf.string.as_datatype_enum, tensor_shape={"dim": [{"size": 2}]}))
    assert empty.tolist() == [b"", b""]
    with pytest.raises(BadRequestError, match="there are no tensors of type 120"):
        to_array("x", tensor_pb2.TensorProto(dtype=120))


def test_columns_have_so_many_rows_before_others_are_made(tmp_path: Any) -> None:
    batching = Batching(LaneOptions(max_rows=10), PerModel(32), PerModel(0))
    servable = Servable("taxi", 1, saved_models.save_taxi(tmp_path / "taxi"), batching)
    with pytest.raises(BadRequestError, match="a request may have 10 rows"):
        servable.checked(servable.signature(), {"fare": np.zeros(11, FLOAT)})


# -- a running server


@pytest.fixture
def wire(server: Any) -> Any:
    asked = Wire(server)
    yield asked
    asked.insist_on_a_good_answer()
    assert "Traceback" not in server.log()


def taxi() -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "taxi"
    for name, dtype in (("fare", tf.float32), ("hour", tf.int64)):
        request.inputs[name].CopyFrom(tf.make_tensor_proto([5], dtype))
    return request


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing%0Ahere%E2%80%A8" + "x" * 5000, 404),
        ("POST", "/v1/models/a%0A" + "x" * 5000, 405),
        ("DELETE", "/openapi.json", 405),
        ("POST", f"/v1/models/taxi/versions/{'9' * 5000}:predict", 400),
        ("POST", f"/v2/models/taxi/versions/{'9' * 5000}/infer", 400),
    ],
)
def test_any_path_is_answered_in_a_line(wire: Wire, method: str, path: str, status: int) -> None:
    found, body, _ = wire.ask(method, path, b"{}")
    said = json.loads(body)["error"]
    assert found == status and len(said) <= 1000 and len(said.splitlines()) == 1


def test_a_body_split_at_a_number_of_thousands_of_digits(wire: Wire) -> None:
    headers = [("Inference-Header-Content-Length", "9" * 5000)]
    assert wire.ask("POST", "/v2/models/taxi/infer", b"{}", headers)[0] == 400


def test_a_code_is_not_lost_with_a_long_line(wire: Wire) -> None:
    """Of 1,000 characters gRPC makes 12,000 bytes, and clients drop more than 8,192 now and then."""
    request = taxi()
    request.model_spec.signature_name = "\U0001f600" * 2000
    for _ in range(5):
        code, said = wire.call(f"{PREDICTION}Predict", request.SerializeToString())
        assert code is grpc.StatusCode.INVALID_ARGUMENT and said.startswith("taxi has no signature")
    code, said = wire.call("/grpc.health.v1.Health/Check", b"\x0a\x80\xfa\x01" + b"y" * 32_000)
    assert code is grpc.StatusCode.NOT_FOUND and len(said) <= 1000


@pytest.mark.parametrize("method", [f"{PREDICTION}Predict", f"{V2}ModelInfer", f"{V2}RepositoryIndex"])
def test_what_is_no_message_is_the_callers_fault(wire: Wire, method: str) -> None:
    assert wire.call(method, b"\xff\xff")[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_a_stream_refuses_what_is_no_message(wire: Wire) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        list(wire.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\xff\xff", timeout=20))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_method_that_there_is_not(wire: Wire) -> None:
    code, said = wire.call(f"{V2}RepositoryIndex", b"")
    assert (code, said) == (grpc.StatusCode.UNIMPLEMENTED, "this server does not have the method.")
    with pytest.raises(grpc.RpcError) as refused:
        list(wire.channel.stream_stream(f"{V2}ModelStreamInfer")(iter([b""]), timeout=20))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_unknown_inputs_are_refused_before_they_are_read(wire: Wire) -> None:
    """Each would become 8 MiB."""
    request = taxi()
    for place in range(2000):
        large = request.inputs[f"x{place}"]
        large.CopyFrom(request.inputs["fare"])
        large.tensor_shape.dim[0].size = 1 << 20
    before = wire.resident()
    code, said = wire.call(f"{PREDICTION}Predict", request.SerializeToString())
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "there is no input" in said
    assert wire.resident() - before < 200 * MIB


def test_what_is_asked_again_and_again_is_answered_once(wire: Wire) -> None:
    request = taxi()
    request.output_filter.extend(["label"] * 100_000)
    code, raw = wire.call(f"{PREDICTION}Predict", request.SerializeToString())
    assert code is grpc.StatusCode.OK and list(predict_pb2.PredictResponse.FromString(raw).outputs) == ["label"]
    tasks = inference_pb2.MultiInferenceRequest()
    example = tasks.input.example_list.examples.add()
    example.features.feature["area"].float_list.value.append(1)
    for _ in range(10_000):
        tasks.tasks.add(method_name="tensorflow/serving/regress").model_spec.name = "house"
    code, said = wire.call(f"{PREDICTION}MultiInference", tasks.SerializeToString())
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "is asked 10,000 times; ask once" in said


@pytest.mark.parametrize("endless", [b"t: " + b"y" * 30_000 + b"\r\n", b"y" * 30_000])
def test_what_follows_a_body_has_an_end(wire: Wire, endless: bytes) -> None:
    head = b"POST /v1/models/taxi:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    assert wire.raw(head + endless * 40).startswith(b"HTTP/1.1 431 ")


def test_a_head_that_comes_with_the_body_before_it(wire: Wire) -> None:
    body = b" " * 100_000 + json.dumps({"instances": [{"fare": 5, "hour": 4}]}).encode()
    request = b"POST /v1/models/taxi:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert wire.raw(request * 3 + last).count(b"HTTP/1.1 200 OK") == 4
