from __future__ import annotations

import json
import math

import numpy as np
import pytest

from serving.codec.decoding import decode_columns, decode_rows, hint_at_base64, is_by_row, parse_json, rows_of
from serving.codec.encoding import encode_classify, encode_columns, encode_regress
from serving.codec.explanations import explanations
from serving.codec.signature import Feature, TensorInfo
from serving.codec.tensors import fill_missing, settle_missing
from serving.errors import BadRequestError
from serving.models.answers import Batch, Part

FARE = TensorInfo("fare", np.dtype("float32"), (None,))
AREA = TensorInfo("area", np.dtype("int64"), (None,), nullable=True)
COMPANY = TensorInfo("company", np.dtype(object), (None,), nullable=True)
MILES = TensorInfo("miles", np.dtype("float32"), (None,), nullable=True)
PIXELS = TensorInfo("pixels", np.dtype("float32"), (None, 4))
SMALL = TensorInfo("small", np.dtype("int8"), (None,))
FLAG = TensorInfo("flag", np.dtype(bool), (None,))
OPEN = TensorInfo("open", np.dtype("float32"), (None, None))
COMPLEX = TensorInfo("complex", np.dtype("complex64"), (None,))
ANY = TensorInfo("any", np.dtype("float64"), None)


def decode(document, *infos):
    inputs = {info.name: info for info in infos}
    if is_by_row(document):
        return decode_rows(rows_of(document), inputs)
    return fill_missing(decode_columns(document["inputs"], inputs), inputs)


def by_row(outputs: dict, rows: int) -> bytes:
    return Part(Batch({}, outputs, rows), 0, rows).encode()


def test_row_form_with_names():
    arrays = decode({"instances": [{"fare": 1, "area": 2}, {"fare": 2.5, "area": 3}]}, FARE, AREA)
    assert arrays["fare"].dtype == np.float32
    assert arrays["fare"].tolist() == [1.0, 2.5]
    assert arrays["area"].dtype == np.int64
    assert arrays["area"].tolist() == [2, 3]


def test_row_form_of_a_single_input_needs_no_name():
    assert decode({"instances": [1, 2.5]}, FARE)["fare"].tolist() == [1.0, 2.5]
    assert decode({"instances": [{"fare": 1}]}, FARE)["fare"].tolist() == [1.0]
    assert decode({"instances": [[1, 2, 3, 4]]}, PIXELS)["pixels"].shape == (1, 4)
    assert decode({"instances": [{"b64": "aGVsbG8="}, "world"]}, COMPANY)["company"].tolist() == [b"hello", b"world"]


def test_column_form():
    arrays = decode({"inputs": {"fare": [1, 2], "company": ["a", {"b64": "/w=="}]}}, FARE, COMPANY)
    assert arrays["company"].tolist() == [b"a", b"\xff"]
    assert decode({"inputs": [[1, 2], [3, 4]]}, OPEN)["open"].shape == (2, 2)
    assert decode({"inputs": 5}, ANY)["any"].shape == ()


@pytest.mark.parametrize("column", ["class", "trip miles", "größe", "__x__", "2nd", "a.b", "amount", "", "名前"])
def test_a_column_answers_to_its_own_name_and_to_tensorflows(column):
    info = TensorInfo("given", np.dtype("float32"), (None,), column=column)
    for name in filter(None, (column, "given")):
        assert decode({"instances": [{name: 1, "area": 2}]}, info, AREA)["given"].tolist() == [1.0]
        assert decode({"inputs": {name: [1, 2], "area": [1, 2]}}, info, AREA)["given"].tolist() == [1.0, 2.0]


def test_one_input_by_both_of_its_names_is_refused_and_messages_use_the_columns_own():
    info = TensorInfo("column_class", np.dtype("float32"), (None,), column="class")
    for document in ({"instances": [{"class": 1, "column_class": 2}]}, {"inputs": {"class": [1], "column_class": [2]}}):
        with pytest.raises(BadRequestError, match=r"\.class: is given as 'column_class' too; keep one"):
            decode(document, info)
    with pytest.raises(BadRequestError, match=r"^input 'class' is missing\. Needed: class$"):
        decode({"inputs": {"area": [1]}}, info, AREA)
    # A column that is called as another's input: that input keeps its name.
    other = TensorInfo("class_2", np.dtype("float32"), (None,), column="column_class")
    assert decode({"inputs": {"column_class": [1], "class_2": [2]}}, info, other)["column_class"].tolist() == [1.0]


def test_missing_nullable_values_become_the_models_own_missing():
    arrays = decode({"instances": [{"fare": 1, "area": None}, {"fare": 2, "miles": 3.5}]}, FARE, AREA, COMPANY, MILES)
    assert arrays["area"].tolist() == [-(2**63)] * 2
    assert arrays["company"].tolist() == [b"", b""]
    assert math.isnan(arrays["miles"][0])
    assert arrays["miles"][1] == 3.5
    arrays = decode({"inputs": {"fare": [1, 2], "area": [None, 7]}}, FARE, AREA, COMPANY)
    assert arrays["area"].tolist() == [-(2**63), 7]
    assert arrays["company"].tolist() == [b"", b""]


@pytest.mark.parametrize(
    ("document", "infos", "message"),
    [
        (
            {},
            [FARE],
            'the body needs either "instances" (row form) or "inputs" (column form). Received: an empty object',
        ),
        ({"instances": [1], "inputs": [1]}, [FARE], "Received: inputs, instances"),
        ({"instances": []}, [FARE], '"instances" must be a list of at least one instance. Received: []'),
        ({"instances": [{"fare": 1}, 5]}, [FARE], "instances[1]: expected an object, as the first is. Received: 5"),
        ({"instances": [{"fair": 1}]}, [FARE], "instances[0]: there is no input 'fair'. Known: fare"),
        (
            {"instances": [{"area": 1}]},
            [FARE, AREA],
            "instances[0].fare: expected a value (float32); 'fare' may not be",
        ),
        (
            {"instances": [1]},
            [FARE, AREA],
            "this signature has 2 inputs (fare, area), so each instance must be an object",
        ),
        ({"instances": [1, "x"]}, [FARE], 'instances[1]: expected a number (float32). Received: "x"'),
        ({"instances": [True]}, [FARE], "instances[0]: expected a number (float32). Received: true"),
        ({"instances": [1]}, [FLAG], "instances[0]: expected true or false (bool). Received: 1"),
        ({"instances": [{"area": 1.5}]}, [AREA], "instances[0].area: expected a whole number (int64). Received: 1.5"),
        ({"instances": [2**64]}, [AREA], "outside the range of int64"),
        ({"instances": [200]}, [SMALL], "outside the range of int8"),
        ({"instances": [1e39]}, [FARE], "outside the range of float32"),
        ({"instances": [5]}, [COMPANY], 'instances[0]: expected a string or {"b64": "..."}'),
        ({"instances": [{"b64": "!"}]}, [COMPANY], "instances[0]: the value of b64 is not valid base64"),
        ({"instances": [["a"]]}, [COMPANY], "instances[0]: expected a single value for 'company'. Received: shape [1]"),
        ({"instances": [[1]]}, [FARE], "instances[0]: expected a single value for 'fare'. Received: shape [1]"),
        (
            {"instances": [[1, 2, 3, 4], [1]]},
            [PIXELS],
            "instances[1]: expected shape [4] for 'pixels'. Received: shape [1]",
        ),
        (
            {"instances": [[1, 2, [3], 4]]},
            [PIXELS],
            "instances[0]: expected shape [4] for 'pixels'. Received: lists of",
        ),
        ({"inputs": [[1, 2], [3]]}, [OPEN], "inputs[1]: expected shape [2] for 'open'. Received: shape [1]"),
        ({"inputs": {"fare": [1, 2], "zzz": [1]}}, [FARE], "inputs: there is no input 'zzz'. Known: fare"),
        ({"inputs": {"area": [1]}}, [FARE, AREA], "input 'fare' is missing. Needed: fare"),
        ({"inputs": {"fare": 5}}, [FARE], "inputs.fare: expected shape [?] for 'fare'. Received: []"),
    ],
)
def test_what_does_not_fit_is_named(document, infos, message):
    with pytest.raises(BadRequestError) as raised:
        decode(document, *infos)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"5", b'{"a": 1', b"\xff", b"[" * 100_000, b"NaN" + b"[" * 100_000]
)
def test_invalid_json_is_a_bad_request(body):
    with pytest.raises(BadRequestError, match=r"not valid JSON|must be a JSON object"):
        parse_json(body)


def test_a_byte_order_mark_and_the_first_of_equal_keys():
    assert parse_json(b'\xef\xbb\xbf{"instances": [1], "instances": [2]}') == {"instances": [1]}
    assert parse_json(b'{"inputs": {"x": [1]}, "inputs": 3, "z": NaN}')["inputs"] == {"x": [1]}


@pytest.mark.parametrize(
    ("value", "info", "message"),
    [
        (16777216, FARE, "instances[1]: whole numbers beyond 16,777,215 may lose digits as float32; write 1.0"),
        (-16777217, FARE, "Received: -16777217"),
        (2**53, ANY, "whole numbers beyond 9,007,199,254,740,991"),
        (1e39, FARE, "instances[1]: it is outside the range of float32. Received: 1e+39"),
        (True, FARE, "instances[1]: expected a number (float32). Received: true"),
        (False, AREA, "instances[1]: expected a whole number (int64). Received: false"),
        (1, COMPLEX, "JSON has no numbers of type complex64. Ask by gRPC."),
    ],
)
def test_numbers_lose_nothing(value, info, message):
    with pytest.raises(BadRequestError) as raised:
        decode({"instances": [2, value]}, info)
    assert message in str(raised.value)


def test_what_a_type_takes_is_taken():
    assert decode({"instances": [16777215, 16777216.0, 1.5, math.inf]}, FARE)["fare"].tolist()[1] == 16777216
    assert decode({"instances": [[0, 1, 0, 1], [1, 1, 1, 1]]}, PIXELS)["pixels"].sum() == 6
    with pytest.raises(BadRequestError, match="true"):
        decode({"instances": [[0, 1, 0, 1], [1, 1, True, 1]]}, PIXELS)
    assert decode({"instances": [{"b64": "YQ"}, {"b64": "YQ=="}]}, COMPANY)["company"].tolist() == [b"a", b"a"]


def test_what_is_sent_does_not_swell_a_message():
    with pytest.raises(BadRequestError) as raised:
        decode({"instances": [{"k" * 1_000_000: 1}]}, FARE)
    assert len(str(raised.value)) <= 1000
    for depth in (40, 900):
        with pytest.raises(BadRequestError, match=r"nested more than 32 deep|expected"):
            decode({"instances": [json.loads("[" * depth + "1" + "]" * depth)]}, FARE)
    for given in ('{"\\ud800": NaN}', '{"instances": ["\\ud800"], "z": NaN}', "[" * 100_000, '{"a": ' * 2000):
        with pytest.raises(BadRequestError, match="not valid JSON"):
            parse_json(given.encode())


def test_nan_and_infinity_are_read_and_written():
    arrays = decode(parse_json(b'{"instances": [NaN, Infinity, -Infinity, 0.1]}'), FARE)
    text = by_row({"y": arrays["fare"]}, 4).decode()
    assert text == '{"predictions": [NaN, Infinity, -Infinity, 0.1]}'


def test_one_output_goes_without_its_name():
    y = {"y": np.array([0.1, 2], np.float32)}
    assert by_row(y, 2) == b'{"predictions":[0.1,2.0]}'
    assert encode_columns(y) == b'{"outputs":[0.1,2.0]}'


def test_several_outputs_are_objects_and_bytes_are_b64():
    outputs = {
        "n": np.array([1, 2]),
        "p": np.array([[0.5], [0.25]], np.float32),
        "raw_bytes": np.array([b"a", b"\xff"], dtype=object),
        "text": np.array(["ü".encode(), b"\xff"], dtype=object),
    }
    first, second = json.loads(by_row(outputs, 2))["predictions"]
    assert first == {"n": 1, "p": [0.5], "raw_bytes": {"b64": "YQ=="}, "text": "ü"}
    assert second == {"n": 2, "p": [0.25], "raw_bytes": {"b64": "/w=="}, "text": {"b64": "/w=="}}
    assert json.loads(encode_columns(outputs))["outputs"]["n"] == [1, 2]


def test_row_form_needs_a_row_for_each_instance():
    with pytest.raises(BadRequestError, match=r"output 'mean' has shape \[\], not one row for each of the 2 instances"):
        by_row({"mean": np.float32(1).reshape(())}, 2)


def test_classify_and_regress():
    classes = np.array([[b"no", b"yes"]], dtype=object)
    scores = np.array([[0.25, 0.75]], np.float32)
    assert encode_classify(classes, scores) == b'{"results":[[["no",0.25],["yes",0.75]]]}'
    assert encode_classify(None, scores) == b'{"results":[[["",0.25],["",0.75]]]}'
    assert encode_regress(np.array([1.5], np.float32)) == b'{"results":[1.5]}'


def told(dtype: str, nullable: bool) -> TensorInfo:
    kind = np.dtype(object if dtype == "string" else dtype)
    feature = Feature(dtype, (), nullable, na_values=("NA", "None"))
    return TensorInfo("x", kind, (None,), nullable, feature)


@pytest.mark.parametrize(
    ("dtype", "values", "missing"),
    [
        ("float32", [1.0, math.nan], 1),
        ("int64", [1, -(2**63)], 1),
        ("string", [b"a", b"", b"NA", b"None", b"na"], 3),
    ],
)
def test_what_is_missing_in_the_data_is_missing_in_a_request(dtype, values, missing):
    info = told(dtype, nullable=True)
    array = np.array(values, info.dtype)
    settled = settle_missing(array, info)
    is_missing = [value != value or value == info.sentinel for value in settled.tolist()]
    assert sum(is_missing) == missing and not is_missing[0]
    with pytest.raises(BadRequestError, match=r"row 1, input 'x': expected a value \(.*\)\. Received: .* missing"):
        settle_missing(array, told(dtype, nullable=False))
    # Of a SavedModel that is not ours nothing is known: it takes what it takes.
    assert settle_missing(array, TensorInfo("x", info.dtype, (None,))) is array


def test_booleans_and_dates():
    text = np.dtype(object)
    member = TensorInfo("member", text, (None,), True, Feature("string", (), True, booleans=("no", "yes")))
    since = TensorInfo("since", text, (None,), True, Feature("string", (), True, is_date=True))
    rows = [{"member": True, "since": "2026-12-31"}, {"member": "no", "since": None}, {"member": None, "since": ""}]
    arrays = decode({"instances": rows}, member, since)
    assert arrays["member"].tolist() == [b"yes", b"no", b""]
    assert arrays["since"].tolist() == [b"2026-12-31", b"", b""]
    with pytest.raises(BadRequestError, match=r"ISO 8601.*since.*31/12/2026"):
        decode({"instances": [rows[0], {"member": False, "since": "31/12/2026"}]}, member, since)


def test_base64_that_is_not_marked_as_such_is_recognised():
    images = {"image": np.array([b"text", b"/9j/4AAQSkZJRgABAQ"], dtype=object), "n": np.zeros(2)}
    assert hint_at_base64(images) == ' The text of \'image\' looks like base64: send {"b64": "..."} in its place.'
    assert hint_at_base64({"image": np.array([b"\xff\xd8\xff", b"text"], dtype=object)}) == ""


def test_explanations_have_the_columns_names_and_the_furthest_first():
    infos = {
        "trip_miles": TensorInfo("trip_miles", np.dtype(np.float32), (None,), column="trip miles"),
        "fare": TensorInfo("fare", np.dtype(np.float32), (None,)),
    }
    outputs = {
        "trip_miles_attribution": np.array([1.0, -4.0], np.float32),
        "fare_attribution": np.array([-2.0, 3.0], np.float32),
        "baseline_score": np.array([0.5, 0.5], np.float32),
        "explained": np.array([-0.5, -0.5], np.float32),
    }
    first, second = explanations(outputs, infos)
    assert list(first["attributions"].items()) == [("fare", -2.0), ("trip miles", 1.0)]
    assert list(second["attributions"].items()) == [("trip miles", -4.0), ("fare", 3.0)]
    assert (first["baseline_score"], first["explained"]) == (0.5, -0.5)
