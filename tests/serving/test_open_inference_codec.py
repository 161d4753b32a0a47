"""Tensors and bodies of the Open Inference Protocol, without a server."""

from __future__ import annotations

import json
import pathlib
import struct
import tomllib
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tritonclient.grpc import service_pb2
from tritonclient.utils import serialize_byte_tensor

from serving.codec.signature import Feature, TensorInfo
from serving.errors import BadRequestError
from serving.open_inference import _json, _messages
from serving.open_inference._metadata import VERSION
from serving.open_inference._tensors import DTYPES, from_bytes, to_bytes

NULLABLE = Feature("float32", (), True)
INPUTS = {
    "fare": TensorInfo("fare", np.dtype(np.float32), (None,)),
    "trip_miles": TensorInfo("trip_miles", np.dtype(np.float32), (None,), True, NULLABLE, column="trip miles"),
    "pixels": TensorInfo("pixels", np.dtype(np.float32), (None, 2)),
    "company": TensorInfo("company", np.dtype(object), (None,)),
    "small": TensorInfo("small", np.dtype(np.int8), (None,)),
}


def body(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def given(name: str, datatype: str, shape: list[Any], data: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, **({} if data is None else {"data": data}), **more}


def arrays(*inputs: dict[str, Any], raw: bytes = b"") -> dict[str, Any]:
    sent = body(*inputs)
    return _json.parse(sent + raw, str(len(sent)) if raw else "").arrays(INPUTS)


def refusal(*inputs: dict[str, Any], raw: bytes = b"") -> str:
    with pytest.raises(BadRequestError) as raised:
        arrays(*inputs, raw=raw)
    assert "\n" not in str(raised.value) and len(str(raised.value)) <= 1000
    return str(raised.value)


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_numbers_keep_every_bit(datatype: str) -> None:
    dtype = DTYPES[datatype]
    values = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    sent = memoryview(b"?" + to_bytes(values))[1:]  # at an odd address, as after JSON
    found = from_bytes(sent, datatype, (2, 3), "input 'x'")
    assert found.dtype == dtype and found.flags.aligned
    assert found.tobytes() == values.tobytes()


def test_texts_are_as_tritons_client_writes_them() -> None:
    values = np.array([[b"", b"a"], [b"\x00\xff", "é".encode()]], dtype=object)
    assert to_bytes(values) == serialize_byte_tensor(values).item()
    assert (from_bytes(memoryview(to_bytes(values)), "BYTES", (2, 2), "") == values).all()


@pytest.mark.parametrize("raw", [b"\x01", struct.pack("<I", 5) + b"four", struct.pack("<I", 2**32 - 1)])
def test_a_text_that_breaks_off(raw: bytes) -> None:
    with pytest.raises(BadRequestError, match="value 0 of BYTES breaks off"):
        from_bytes(memoryview(raw), "BYTES", (1,), "input 'x'")


def test_json_takes_flat_and_nested_lists_and_columns_of_data_frames() -> None:
    flat = arrays(given("pixels", "FP32", [2, 2], [1, 2, 3, 4.5]), given("fare", "FP32", [2, 1], [1, 2]))
    nested = arrays(given("pixels", "FP32", [2, 2], [[1, 2], [3, 4.5]]))
    assert flat["pixels"].tolist() == nested["pixels"].tolist() == [[1, 2], [3, 4.5]]
    assert flat["fare"].shape == (2,) and flat["fare"].dtype == np.float32


def test_a_columns_own_name_and_a_null_that_may_be() -> None:
    found = arrays(given("trip miles", "FP32", [2], [1.5, None]))
    assert found["trip_miles"][0] == 1.5 and np.isnan(found["trip_miles"][1])


def test_bytes_after_the_json_belong_to_the_inputs_in_their_order() -> None:
    fare, company = np.array([1, 2], np.float32).tobytes(), to_bytes(np.array([b"x", b"\xff"], dtype=object))
    found = arrays(
        given("fare", "FP32", [2], parameters={"binary_data_size": len(fare)}),
        given("small", "INT8", [2], [3, -4]),
        given("company", "BYTES", [2], parameters={"binary_data_size": len(company)}),
        raw=fare + company,
    )
    assert found["fare"].tolist() == [1, 2] and found["company"].tolist() == [b"x", b"\xff"]
    assert found["small"].tolist() == [3, -4]


@pytest.mark.parametrize(
    ("inputs", "raw", "message"),
    [
        ([given("fare", "FP64", [1], [1.0])], b"", "input 'fare': expected datatype FP32. Received: FP64"),
        ([given("fare", "F32", [1], [1.0])], b"", "input 'fare': datatype must be one of BOOL"),
        ([given("zzz", "FP32", [1], [1.0])], b"", "inputs: there is no input 'zzz'. Known: fare, trip miles"),
        ([given("fare", "FP32", [1], [1.0])] * 2, b"", "inputs: 'fare' is given twice."),
        ([given("fare", "FP32", [1])], b"", "input 'fare': needs data, a list, or binary_data_size and its bytes."),
        ([given("fare", "FP32", [2], [1.0])], b"", "input 'fare': shape [2] has 2 values. Received: 1"),
        (
            [given("fare", "FP32", [-1], [1.0])],
            b"",
            "input 'fare': shape must be a list of whole numbers of at least 0.",
        ),
        ([given("fare", "FP32", [True], [1.0])], b"", "input 'fare': shape must be a list of whole numbers"),
        ([given("fare", "FP32", [1] * 33, [1.0])], b"", "input 'fare': shape has more than 32 dimensions."),
        ([given("fare", "FP32", [0, 2**62, 2**62], [])], b"", "input 'fare': shape [0, 4611686018427387904"),
        (
            [given("fare", "FP32", [2], ["a", 1])],
            b"",
            "input 'fare', data[0]: expected a number (float32). Received: \"a\"",
        ),
        ([given("pixels", "FP32", [2, 2], [[1, 2], [3]])], b"", "input 'pixels', data[1]: expected shape [2]"),
        (
            [given("small", "INT8", [1], [300])],
            b"",
            "input 'small', data: a whole number is outside the range of int8.",
        ),
        ([given("fare", "FP32", [1], [None])], b"", "'fare' may not be missing or null"),
        ([given("fare", "FP32", [1], [16777217])], b"", "whole numbers beyond 16,777,215 may lose digits"),
        ([{"shape": [1]}], b"", "inputs[0]: must be an object with a name."),
        (
            [given("fare", "FP32", [2**40], parameters={"binary_data_size": 4})],
            b"1234",
            "input 'fare': FP32 of shape [1099511627776] has 4,398,046,511,104 bytes. Received: 4",
        ),
        (
            [given("fare", "FP32", [1], parameters={"binary_data_size": 8})],
            b"1234",
            "binary_data_size must be one of the 4 bytes that remain after the JSON. Received: 8",
        ),
        ([given("fare", "FP32", [1], parameters={"binary_data_size": -1})], b"1234", "Received: -1"),
        ([given("fare", "FP32", [1], [1.0])], b"1234", "4 bytes after the JSON are no input's"),
        ([given("fare", "FP32", [1], parameters={"shared_memory_region": "r"})], b"", "'shared_memory_region' is not"),
    ],
)
def test_refusals_name_the_input(inputs: list[dict[str, Any]], raw: bytes, message: str) -> None:
    assert message in refusal(*inputs, raw=raw)


@pytest.mark.parametrize(
    ("sent", "length", "message"),
    [
        (b"{}", "3", "Inference-Header-Content-Length: must be a number of bytes up to the body's 2. Received: '3'"),
        (b"{}", "-1", "Received: '-1'"),
        (b"[]", "", "the body must be a JSON object"),
        (b'{"inputs": 5}', "", "inputs: must be a list. Received: 5"),
        (b'{"id": 5}', "", "id: must be a string. Received: 5"),
        (b'{"parameters": {"label": 5}}', "", "parameters.label: must be a string. Received: 5"),
        (b'{"parameters": []}', "", "the body: parameters must be an object. Received: []"),
        (b'{"outputs": [{"name": "y", "parameters": {"classification": 2}}]}', "", "'classification' is not supported"),
    ],
)
def test_refusals_of_a_body(sent: bytes, length: str, message: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        _json.parse(sent, length)
    assert message in str(raised.value)


def test_an_answer_in_json_and_with_bytes() -> None:
    outputs = {
        "y": np.array([[0.1, 2]], np.float32),
        "label": np.array([b"a", b"\xff"], dtype=object),
        "half": np.array([0.5], ml_dtypes.bfloat16),
        "whole": np.array([1, 2], np.int64),
    }
    request = _json.parse(
        body(
            id="7",
            outputs=[{"name": name} for name in ("y", "label", "half")]
            + [{"name": "whole", "parameters": {"binary_data": True}}],
        ),
        "",
    )
    written, length = _json.answer("m", 3, request, request.chosen(outputs))
    assert length is not None
    document = json.loads(written[:length])
    assert document == {
        "id": "7",
        "model_name": "m",
        "model_version": "3",
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.1, 2.0]},
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["a", {"b64": "/w=="}]},
            {"name": "half", "datatype": "BF16", "shape": [1], "data": [0.5]},
            {"name": "whole", "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": 16}},
        ],
    }
    assert written[length:] == outputs["whole"].tobytes()


def test_outputs_that_are_not_named_come_as_the_request_says() -> None:
    outputs = {"y": np.array([1], np.float32), "n": np.array([float("nan")], np.float32)}
    every = _json.parse(body(parameters={"binary_data_output": True}), "")
    written, length = _json.answer("m", 1, every, outputs)
    assert length is not None and len(written) == length + 8
    written, length = _json.answer("m", 1, _json.parse(body(), ""), outputs)
    assert length is None and b"NaN" in written and "id" not in json.loads(written)


def message(*inputs: dict[str, Any], raw: tuple[bytes, ...] = (), **more: Any) -> service_pb2.ModelInferRequest:
    made = service_pb2.ModelInferRequest(raw_input_contents=raw, **more)
    for one in inputs:
        made.inputs.add(**one)
    return made


def test_messages_with_contents_and_with_bytes() -> None:
    found = _messages.parse(
        message(
            {"name": "fare", "datatype": "FP32", "shape": [2], "contents": {"fp32_contents": [1, 2]}},
            {"name": "small", "datatype": "INT8", "shape": [1], "contents": {"int_contents": [-3]}},
            {"name": "company", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"\xff"]}},
            parameters={"label": service_pb2.InferParameter(string_param="canary")},
        )
    )
    assert found.label == "canary"
    assert {name: array.tolist() for name, array in found.arrays(INPUTS).items()} == {
        "fare": [1.0, 2.0],
        "small": [-3],
        "company": [b"\xff"],
    }
    raw = _messages.parse(message({"name": "fare", "datatype": "FP32", "shape": [1]}, raw=(b"\0\0\x80\x3f",)))
    assert raw.arrays(INPUTS)["fare"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (message({"name": "fare", "datatype": "FP32", "shape": [1 << 28]}), "has 268,435,456 values. Received: 0"),
        (message({"name": "fare", "datatype": "FP32", "shape": [1]}, raw=(b"", b"")), "for each of the 1 inputs"),
        (
            message({"name": "small", "datatype": "INT8", "shape": [1], "contents": {"int_contents": [300]}}),
            "outside the range of INT8",
        ),
        (message({"name": "fare", "datatype": "FP32", "shape": [-5]}), "whole numbers of at least 0"),
        (
            message(parameters={"label": service_pb2.InferParameter(int64_param=5)}),
            "parameters.label: must be a string. Received: 5",
        ),
    ],
)
def test_refusals_of_a_message(asked: service_pb2.ModelInferRequest, refused: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        _messages.parse(asked).arrays(INPUTS)
    assert refused in str(raised.value)


def test_the_servers_version_is_the_projects() -> None:
    project = tomllib.loads((pathlib.Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
