"""What the codecs promise of any input: tensors as the signature says, or one line that says what is wrong."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from tensorflow_serving.apis import input_pb2

from fuzz import values as sent
from fuzz.properties import Property
from serving.access.keys import _given
from serving.codec.decoding import decode_columns, decode_rows, is_by_row, parse_json, rows_of
from serving.codec.encoding import encode_columns
from serving.codec.examples import decode_examples
from serving.codec.forms import decode_form, parse_form, signature_name
from serving.codec.protos import examples_of, to_array
from serving.codec.signature import Feature, TensorInfo
from serving.codec.tensors import Arrays, check_array, check_pictures, settle_missing
from serving.errors import BadRequestError
from serving.inference.request_ids import request_id
from serving.open_inference import _json, _messages
from serving.open_inference._requests import version_of
from serving.open_inference._tensors import DTYPES
from tracing import trace_id

TEXT = np.dtype(object)
INPUTS = {
    info.name: info
    for info in (
        TensorInfo("fare", np.dtype(np.float32), (None,), feature=Feature("float32", (), False)),
        TensorInfo("miles_", np.dtype(np.float32), (None,), True, Feature("float32", (), True), column="trip miles"),
        TensorInfo("area", np.dtype(np.int64), (None,), True, Feature("int64", (), True)),
        TensorInfo("company", TEXT, (None,), True, Feature("string", (), True, na_values=("NA",))),
        TensorInfo("since", TEXT, (None,), True, Feature("string", (), True, is_date=True)),
        TensorInfo("member", TEXT, (None,), True, Feature("string", (), True, booleans=("no", "yes"))),
        TensorInfo("pixels", np.dtype(np.float32), (None, 2, 2), True, Feature("float32", (2, 2), True)),
    )
}
FEATURES = {info.shown: info.feature for info in INPUTS.values() if info.feature}
_KINDS = ("float16", "float32", "float64", "int8", "int64", "uint8", "uint64", "bool", "object", "complex64")
ALONE = [
    TensorInfo("x", np.dtype(kind), shape)
    for kind in _KINDS
    for shape in [(None,), (None, 2), (None, None), (None, None, 2), (), None]
] + [
    TensorInfo("x", np.dtype(ml_dtypes.bfloat16), (None,)),
    TensorInfo("x", np.dtype(ml_dtypes.bfloat16), (None, None)),
]
ROW = {
    **{"fare": 1.5, "trip miles": None, "area": 3, "company": "a", "since": "2026-12-31", "member": True},
    "pixels": [[0, 1], [2.5, 3]],
}
_INFER = {
    "id": "a",
    "parameters": {"label": "canary", "binary_data_output": True},
    "inputs": [
        {"name": "fare", "datatype": "FP32", "shape": [2], "data": [1, 2.5]},
        {"name": "pixels", "datatype": "FP32", "shape": [2, 2, 2], "data": [[[1, 2], [3, 4]], [[1, 2], [3, 4]]]},
        {"name": "company", "datatype": "BYTES", "shape": [2, 1], "data": ["a", {"b64": "/w"}]},
        {"name": "area", "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": 16}},
    ],
    "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
}


PROPERTIES: list[Property] = []


def of(given: st.SearchStrategy[Any]) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    def note(holds: Callable[[Any], None]) -> Callable[[Any], None]:
        PROPERTIES.append(Property(holds.__name__, given, holds))
        return holds

    return note


def refused(decode: Callable[[], Any]) -> Any:
    """What is decoded; None where it is refused, which takes a line."""
    try:
        return decode()
    except BadRequestError as error:
        said = str(error)
        assert said and len(said) <= 1000 and len(said.splitlines()) == 1, said
        said.encode()
        return None


def fits(arrays: Arrays | None, inputs: dict[str, TensorInfo]) -> None:
    """Insists that tensors are what their inputs take, through all that is done with them before a model gets them."""
    for name, array in (arrays or {}).items():
        info = inputs[name]
        assert array.dtype == info.dtype and info.accepts(array.shape), (name, array.dtype, array.shape)
        if info.is_string:
            assert all(type(value) is bytes for value in array.reshape(-1).tolist())
        check_array(array, info)
        check_pictures(array, info)
        refused(lambda array=array, info=info: settle_missing(array, info))


def predicted(body: bytes, inputs: dict[str, TensorInfo]) -> Arrays | None:
    def decode() -> Arrays:
        document = parse_json(body)
        return (
            decode_rows(rows_of(document), inputs)
            if is_by_row(document)
            else decode_columns(document["inputs"], inputs)
        )

    return refused(decode)


_PREDICT = sent.changed(
    {"instances": [ROW, ROW]},
    {"inputs": {name: [value, value] for name, value in ROW.items()}},
    {"instances": [ROW], "signature_name": "x", "classes": True},
)


@of(sent.mutated(_PREDICT.map(sent.as_json), sent.JSON_PIECES))
def predict_body(body: bytes) -> None:
    fits(predicted(body, INPUTS), INPUTS)


_LISTS = st.recursive(sent.scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=9)


@of(st.tuples(st.sampled_from(ALONE), st.sampled_from(["instances", "inputs"]), st.one_of(sent.values, _LISTS)))
def one_input(case: tuple[TensorInfo, str, Any]) -> None:
    info, form, value = case
    fits(predicted(sent.as_json({form: value}), {"x": info}), {"x": info})


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of lists in lists, said slowly and plainly; None where they are of unequal length or depth."""
    if not isinstance(value, list):
        return ()
    shapes = {shape_of(one) for one in value}
    if len(shapes) > 1 or None in shapes:
        return None
    return (len(value), *(shapes.pop() if shapes else ()))


_RAGGED = st.recursive(st.sampled_from(["a", "b"]), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=9)


@of(st.tuples(st.sampled_from(ALONE), st.one_of(_LISTS, _RAGGED)))
def lists_keep_their_shape(case: tuple[TensorInfo, Any]) -> None:
    info, value = case
    found = (predicted(sent.as_json({"inputs": value}), {"x": info}) or {}).get("x")
    assert found is None or found.shape == shape_of(value)


@of(st.tuples(st.sampled_from(["float16", "float32", "float64", "int8", "int64"]), st.lists(sent.numbers, min_size=1)))
def numbers_are_exact(case: tuple[str, list[Any]]) -> None:
    kind, given = case
    info = TensorInfo("x", np.dtype(kind), (None,))
    found = (predicted(sent.as_json({"instances": given}), {"x": info}) or {}).get("x")
    if found is None:
        return
    with np.errstate(over="ignore"):
        for value, one in zip(given, found.tolist(), strict=True):
            if isinstance(value, int) and abs(value) < 2**63:
                assert one == value, "a whole number loses nothing"
            else:
                wanted = float(info.dtype.type(value))
                assert one == wanted or math.isnan(wanted), "a decimal number is the nearest there is"
                assert math.isinf(one) == math.isinf(value) if isinstance(value, float) else True


@of(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def what_is_written_is_read(given: list[float]) -> None:
    written = encode_columns({"y": np.array(given, np.float32)}).replace(b'"outputs"', b'"inputs"')
    found = predicted(written, {"x": TensorInfo("x", np.dtype(np.float32), (None,))})
    assert found is not None and found["x"].tolist() == given


_EXAMPLES = sent.changed(
    {"examples": [ROW, ROW]}, {"context": {"fare": 1}, "examples": [{"area": 2}, {"company": "b"}]}
)


@of(st.tuples(sent.mutated(_EXAMPLES.map(sent.as_json), sent.JSON_PIECES), st.sampled_from([FEATURES, {}])))
def examples_body(case: tuple[bytes, dict[str, Feature]]) -> None:
    body, features = case
    array = refused(lambda: decode_examples(parse_json(body), features))
    assert array is None or all(type(one) is bytes for one in array)


@of(sent.forms([*INPUTS, "trip miles", "image", "file", "signature_name"]))
def form_body(case: tuple[bytes, str]) -> None:
    body, content_type = case
    parts = refused(lambda: parse_form(body, content_type))
    if parts is not None:
        signature_name(parts)
        fits(refused(lambda: decode_rows(decode_form(parts, INPUTS), INPUTS)), INPUTS)


@of(st.tuples(sent.tensor_protos(), st.sampled_from([*INPUTS.values(), *ALONE])))
def tensor_proto(case: tuple[Any, TensorInfo]) -> None:
    proto, info = case
    array = refused(lambda: to_array(info.name, proto))
    if array is not None and refused(lambda: check_array(array, info) or True):
        fits({info.name: array}, {info.name: info})


@of(sent.mutated(st.just(input_pb2.Input().SerializeToString())))
def examples_message(raw: bytes) -> None:
    given = input_pb2.Input()
    try:
        given.MergeFromString(raw)
    except Exception:
        return
    refused(lambda: examples_of(given))


_RAW = st.one_of(st.just(b"\0" * 16), st.binary(max_size=24))
_LENGTHS = st.one_of(
    st.sampled_from(["", "", "-1", "1e3", "٣", "²", "9" * 5000, "0", " 5"]),
    st.integers(0, 900).map(str),
    st.just("json"),
)


@of(st.tuples(sent.mutated(sent.changed(_INFER).map(sent.as_json), sent.JSON_PIECES), _RAW, _LENGTHS))
def infer_body(case: tuple[bytes, bytes, str]) -> None:
    body, raw, length = case
    length = str(len(body)) if length == "json" else length
    arrays = refused(lambda: _json.parse(body + raw, length).arrays(INPUTS))
    assert arrays is None or all(array.dtype == INPUTS[name].dtype for name, array in arrays.items())


@of(sent.infer_messages([*INPUTS, "trip miles", "zz"], [*DTYPES, "FP8", ""]))
def infer_message(message: Any) -> None:
    arrays = refused(lambda: _messages.parse(message).arrays(INPUTS))
    assert arrays is None or all(array.dtype == INPUTS[name].dtype for name, array in arrays.items())


@of(st.one_of(sent.texts, st.text()))
def headers(text: str) -> None:
    assert 1 <= len(request_id(text)) <= 128
    refused(lambda: version_of(text))
    trace_id(text)
    _given(text, text)


_MANY, _LONG = st.sampled_from([1, 40, 3000]), st.sampled_from(["", "x" * 30_000])


@of(st.tuples(st.sampled_from(ALONE), _MANY, _MANY, st.one_of(_LONG, st.just(1.5), st.just([])), st.booleans()))
def nothing_swells(case: tuple[TensorInfo, int, int, Any, bool]) -> None:
    """Lists that are long in two directions, of which only the first is full, and a long text among numbers."""
    info, rows, columns, odd, first = case
    value = [[1] * columns, *[odd] * rows] if first else [*[0.5] * rows, odd, *[1] * columns]
    bounded(sent.as_json({"inputs": value if len(sent.as_json(value)) < 1 << 20 else value[:20]}), {"x": info})


def bounded(body: bytes, inputs: dict[str, TensorInfo]) -> None:
    tracemalloc.start()
    try:
        predicted(body, inputs)
        assert tracemalloc.get_traced_memory()[1] < 100 * len(body) + (8 << 20)
    finally:
        tracemalloc.stop()
