"""Strategies: requests that are nearly right, and wrong in deep places."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tritonclient.grpc import service_pb2

NUMBERS: list[Any] = [
    *(0, 1, -1, 127, 128, 255, 256, 16_777_215, 16_777_217, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 2**70),
    *(-0.0, 0.1, 1e39, 3.4028235e38, 1.2e-45, 1e-400, math.nan, math.inf, -math.inf),
]
TEXTS = [
    *("", " ", "\0", "\n", "\r\n", "\u2028", "\ud800", "\U0001f600" * 300, "é" * 1200, "%s{}%", "x" * 2000),
    *("NA", "nan", "b64", "fare", "2026-02-31", "9" * 5000, "٣", "²", "/9j/4AAQ", "canary", "explain"),
]
numbers = st.one_of(st.sampled_from(NUMBERS), st.integers(), st.floats())
texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=8))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)


def nested(value: Any, depth: int) -> Any:
    """A value in so many lists."""
    for _ in range(depth):
        value = [value]
    return value


values = st.recursive(
    st.one_of(
        scalars,
        st.builds(nested, scalars, st.sampled_from([1, 2, 31, 32, 33, 64, 65, 300, 950])),
        st.builds(lambda value, count: [value] * count, scalars, st.sampled_from([0, 2, 64, 65])),
        st.builds(lambda text: {"b64": text}, st.one_of(texts, scalars, st.sampled_from(["YQ", "YQ==", "_w", "!"]))),
        st.builds(
            lambda text: {"url": text}, st.one_of(scalars, st.sampled_from(["https://x/y", "file:///etc/passwd"]))
        ),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
"""JSON's values, as Python has them."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there is something in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inside for place in places(one, (*path, key)))]


_REMOVED = object()


def _with(base: Any, changes: Sequence[tuple[tuple[Any, ...], Any]]) -> Any:
    document = {"": copy.deepcopy(base)}
    for path, value in changes:
        section: Any = document
        *way, last = ("", *path)
        try:
            for step in way:
                section = section[step]
            if value is _REMOVED:
                del section[last]
            else:
                section[last] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took away what was there
    return document.get("")


def changed(*bases: Any) -> st.SearchStrategy[Any]:
    """A document with something else in some of its places, or something more."""

    def of(base: Any) -> st.SearchStrategy[Any]:
        found = places(base)
        added = [(*path, name) for path in found if isinstance(_at(base, path), dict) for name in ("b64", "fare", "zz")]
        change = st.tuples(st.sampled_from([*found, *added]), st.one_of(values, st.just(_REMOVED)))
        return st.lists(change, max_size=3).map(lambda changes: _with(base, changes))

    return st.one_of(*map(of, bases))


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def as_json(document: Any) -> bytes:
    """JSON as lenient clients write it: NaN and Infinity, and half a character where there is one."""
    return json.dumps(document).encode()


def mutated(whole: st.SearchStrategy[bytes], pieces: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """Bytes of which some are others, or missing, or there twice; mostly they are left as they are."""
    piece = st.one_of(st.binary(max_size=4), st.sampled_from([*pieces, b"\0", b"\xff", b"\xed\xa0\x80", b'"', b"{"]))
    change = st.tuples(st.floats(0, 1), st.integers(0, 6), piece)

    def apply(body: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
        for at, gone, put in changes:
            place = int(at * len(body))
            body = body[:place] + put + body[place + gone :]
        return body

    return st.builds(apply, whole, st.one_of(st.just([]), st.lists(change, max_size=3)))


JSON_PIECES = [
    *(b"NaN", b"-Infinity", b"1e400", b"\\ud800", b"9" * 5000, b"18446744073709551616", b"[" * 2000, b"\xef\xbb\xbf"),
    *(b'"instances": [1], ', b'"inputs": {}, ', b'{"b64": "YQ"}', b"null", b"true", b"-", b"0x10"),
]

# -- forms

_DISPOSITIONS = [
    *('form-data; name="{}"', 'form-data; name="{}"; filename="a"', "form-data; name={}", "form-data; name*=utf-8''{}"),
    *(
        "form-data; name*=x\0'a'{}",
        "form-data; name*0={}; name*=b",
        "form-data; name*0*=utf-8''{}; name*1=b",
        "form-data",
    ),
    *(
        "form-data; filename*=x'y'z; name={}",
        f"form-data; name*{'9' * 5000}={{}}",
        'form-data; name="{}\\"',
        ";;;name={}",
    ),
]
_HEADERS = ["Content-Disposition: ", "content-disposition:", "Content-Type: text/plain\r\nContent-Disposition: ", "X: "]
CONTENT_TYPES = [
    *("multipart/form-data; boundary=B", 'multipart/form-data; boundary="B"', "Multipart/Form-Data;boundary=B; x=y"),
    *("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary*=utf-8''B"),
    *("multipart/form-data; boundary*=x\0'a'B", "multipart/form-data; boundary*0=B; boundary*=C"),
    *(f"multipart/form-data; boundary*{'9' * 5000}=B", "multipart/form-data; boundary=\xe9", "multipart/form-data; =;"),
]


@st.composite
def forms(draw: st.DrawFn, names: Sequence[str]) -> tuple[bytes, str]:
    """A form's body and its Content-Type."""
    content_type = draw(st.sampled_from(CONTENT_TYPES))
    parts = b""
    for _ in range(draw(st.integers(0, 4))):
        said = draw(st.sampled_from(_DISPOSITIONS)).format(draw(st.one_of(st.sampled_from(list(names)), texts)))
        content = draw(st.one_of(values.map(as_json), st.binary(max_size=8)))
        head = (draw(st.sampled_from(_HEADERS)) + said).encode("utf-8", "surrogatepass")
        parts += b"--B\r\n" + head + b"\r\n\r\n" + content + b"\r\n"
    return draw(mutated(st.just(parts + b"--B--\r\n"), [b"--B\r\n", b"\r\n\r\n", b"--B--"])), content_type


# -- protos

SIZES = [0, 0, 1, 1, 2, 3, 64, -1, 2**20, 2**20 + 1, 2**31, 2**62, 2**63 - 1]
_FIELDS = [field for field in tensor_pb2.TensorProto.DESCRIPTOR.fields if field.name.endswith("_val")]


@st.composite
def tensor_protos(draw: st.DrawFn) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=draw(st.one_of(st.sampled_from([1, 3, 7, 9]), st.integers(0, 130))))
    for size in draw(st.lists(st.sampled_from(SIZES), max_size=3)):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = draw(st.sampled_from([False, False, False, True]))
    if draw(st.booleans()):
        proto.tensor_content = draw(st.binary(max_size=24))
    named = {"float_val": numbers, "int64_val": numbers, "string_val": st.binary(max_size=4)}
    for field in draw(st.lists(st.sampled_from(_FIELDS), max_size=2)):
        count = draw(st.integers(0, 4))
        for value in draw(st.lists(named.get(field.name, numbers), min_size=count, max_size=count)):
            try:
                getattr(proto, field.name).append(value)
            except (TypeError, ValueError, OverflowError, AttributeError):
                break  # no value of the field's
    return proto


@st.composite
def infer_messages(draw: st.DrawFn, names: Sequence[str], datatypes: Sequence[str]) -> service_pb2.ModelInferRequest:
    message = service_pb2.ModelInferRequest(id=draw(st.sampled_from(["", "a", "x" * 300])))
    fields = [field.name for field in service_pb2.InferTensorContents.DESCRIPTOR.fields]
    for _ in range(draw(st.integers(0, 4))):
        shape = draw(st.lists(st.sampled_from(SIZES), max_size=3))
        given = message.inputs.add(
            name=draw(st.sampled_from(names)), datatype=draw(st.sampled_from(datatypes)), shape=shape
        )
        for value in draw(st.lists(st.one_of(numbers, st.binary(max_size=3)), max_size=3)):
            try:
                getattr(given.contents, draw(st.sampled_from(fields))).append(value)
            except (TypeError, ValueError, OverflowError):
                break  # no value of the field's
    for raw in draw(st.one_of(st.just([]), st.lists(st.binary(max_size=16), max_size=4))):
        message.raw_input_contents.append(raw)
    for name in draw(st.lists(st.sampled_from([*names, "probability", "label"]), max_size=2)):
        message.outputs.add(name=name)
    if draw(st.integers(0, 4)) == 0:
        message.parameters[draw(st.sampled_from(["label", "signature_name", "zz"]))].int64_param = 5
    return message
