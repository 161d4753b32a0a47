"""What a running server promises: an answer below 500 to whatever comes, and to the next good request the right one."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import gzip
import http.client
import io
import json
import math
import pathlib
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import saved_models
import tensorflow as tf
from conftest import Server, publisher
from hypothesis import strategies as st
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)
from tritonclient.grpc import service_pb2

from fuzz import values as sent
from fuzz.properties import Property
from model_store import ModelStore
from serving.open_inference._tensors import DTYPES, to_bytes

ROW = {"fare": 5.0, "miles": 1.5, "area": 3, "company": "x", "hour": 4}
_GOOD = sent.as_json({"instances": [ROW]})
_SECONDS = 60  # in which a busy machine answers as well
_INVALID = b"Invalid HTTP request received."  # uvicorn's, where HTTP itself is broken
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
}


def served(folder: pathlib.Path) -> Iterator[Wire]:
    """A server that asks for keys, writes a log and a record, and soon gives up on what does not come."""
    store = ModelStore(folder / "models")
    publish = publisher(store)
    publish("taxi", saved_models.save_taxi(folder / "taxi"))
    publish("taxi", saved_models.save_taxi(folder / "other", bias=1.0), "canary")
    for name, save in (("digits", saved_models.save_digits), ("house", saved_models.save_house)):
        publish(name, save(folder / name))
    publish("codec", saved_models.save_codec(folder / "codec"))
    keys = folder / "keys.json"
    command = [sys.executable, "-m", "cli.main", "keys", "create", "fuzz", "--api-keys", str(keys)]
    key = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    options = ["--api-keys", str(keys), "--access-log", str(folder / "access.jsonl"), "--silence-seconds", "0.5"]
    options += ["--record", str(folder / "record"), "--record-rate", "1", "--record-mb", "1", "--grpc-reflection"]
    running = Server(folder, store, *options)
    try:
        yield Wire(running.wait_until_ready(), key)
    finally:
        running.stop()


class Wire:
    """Asks a server, by REST and gRPC.

    Args:
        key: that opens it; empty: it asks for none.
    """

    def __init__(self, server: Server, key: str = "") -> None:
        self.server, self.key = server, key
        self.channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
        self._kept: socket.socket | None = None

    def _head(self, line: str, headers: Sequence[tuple[str, str]]) -> bytes:
        """Whatever stands in it goes as it is."""
        key = [("X-API-Key", self.key)] if self.key else []
        lines = [line, *(f"{name}: {value}" for name, value in [("Host", "x"), *key, *headers]), "", ""]
        return "\r\n".join(lines).encode("utf-8", "replace")

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of an answer, by a connection that is kept."""
        head = self._head(f"{method} {path} HTTP/1.1", [*headers, ("Content-Length", str(len(body)))])
        for again in (True, False):
            fresh = self._kept is None
            if self._kept is None:
                self._kept = socket.create_connection(("127.0.0.1", self.server.rest), timeout=_SECONDS)
            try:
                self._kept.sendall(head + body)
                response = http.client.HTTPResponse(self._kept, method=method)
                response.begin()
                content = response.read()
                if response.will_close:
                    self._close()
                return response.status, content, {name.lower(): value for name, value in response.getheaders()}
            except (ConnectionError, http.client.RemoteDisconnected):
                self._close()
                if fresh and not again:
                    raise
        raise AssertionError("the server closes the connection and says nothing")

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    def raw(self, data: bytes) -> bytes:
        """All that is answered to bytes until the server closes the connection."""
        answered = b""
        with socket.create_connection(("127.0.0.1", self.server.rest), timeout=_SECONDS) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
                while part := connection.recv(1 << 16):
                    answered += part
        return answered

    def call(self, method: str, message: bytes, metadata: Sequence[tuple[str, str]] = ()) -> tuple[Any, Any]:
        """Code and details, or code and answer, of an RPC."""
        rpc = self.channel.unary_unary(method)
        key = [("x-api-key", self.key)] if self.key else []
        try:
            return grpc.StatusCode.OK, rpc(message, timeout=_SECONDS, metadata=[*key, *metadata])
        except grpc.RpcError as error:
            return error.code(), error.details()

    def insist_on_a_good_answer(self) -> None:
        """Insists that the next good request is answered as always."""
        status, body, _ = self.ask("POST", "/v1/models/taxi/labels/stable:predict", _GOOD)
        wanted = 1 / (1 + math.exp(-0.5))
        assert status == 200 and abs(json.loads(body)["predictions"][0]["probability"] - wanted) < 1e-5, body

    def resident(self) -> int:
        """Bytes of the server's memory."""
        import psutil

        process = psutil.Process(self.server.process.pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def insist_on_one_line(status: int, body: bytes) -> None:
    assert status < 500, (status, body[:500])
    if status >= 400 and body not in (b"", _INVALID):
        said = json.loads(body)["error"]
        assert said and len(said) <= 1000 and len(said.splitlines()) == 1, said


_PROPERTIES: list[tuple[st.SearchStrategy[Any], Callable[[Wire, Any], None]]] = []


def properties(wire: Wire) -> list[Property]:
    """What is to hold of a server."""
    return [Property(holds.__name__, given, functools.partial(holds, wire)) for given, holds in _PROPERTIES]


def of(given: st.SearchStrategy[Any]) -> Callable[[Callable[[Wire, Any], None]], Callable[[Wire, Any], None]]:
    def note(holds: Callable[[Wire, Any], None]) -> Callable[[Wire, Any], None]:
        _PROPERTIES.append((given, holds))
        return holds

    return note


# -- REST

_IN_A_PATH = [
    *("taxi", "taxi", "digits", "house", "codec", "", "%2F", "%00", "%0A", "%E2%80%A8", "%ff", "..", "taxi%3Apredict"),
    *("x" * 3000, "%F0%9F%98%80" * 300, "é", "9" * 5000, "1", "2", "-1", "0", "%D9%A3", "stable", "canary", "a%25b"),
]
_PIECES = st.sampled_from(_IN_A_PATH)
_PATHS = [
    *("/v1/models/{}:predict", "/v1/models/{}/versions/{}:predict", "/v1/models/{}/labels/{}:predict"),
    *("/v1/models/{}:classify", "/v1/models/{}:regress", "/v1/models/{}/metadata", "/v1/models/{}", "/v1/models/{}:{}"),
    *("/v2/models/{}/infer", "/v2/models/{}/versions/{}/infer", "/v2/models/{}/versions/{}", "/v2/models/{}/ready"),
    *("/v1/models", "/v2", "/v2/models", "/v2/health/{}", "/docs", "/docs/{}", "/openapi.json", "/healthz", "/metrics"),
    *("/{}", "//{}", "http://y/v1/models/{}", "*", "/v1/models/{}/../{}", "/v1/models/{};{}:predict", "/%76%31/{}"),
]
paths = st.builds(lambda path, one, two: path.format(one, two), st.sampled_from(_PATHS), _PIECES, _PIECES)
_QUERIES = st.sampled_from(
    [
        "",
        "",
        "?explain=true",
        "?explain=%00",
        "?explain=" + "x" * 3000,
        "?&&=",
        "?%",
        "?explain=true&explain=no",
        "?a=é",
    ]
)
_METHODS = st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
_DIGITS = {"pixels": [0.5] * 64}
_TENSORS = [
    {"name": "fare", "datatype": "FP32", "shape": [1], "data": [5]},
    {"name": "hour", "datatype": "INT64", "shape": [1], "data": [4]},
]
_DOCUMENTS = sent.changed(
    *({"instances": [ROW, ROW]}, {"inputs": {name: [value] for name, value in ROW.items()}}, {"instances": [_DIGITS]}),
    *(
        {"instances": [{"area": 1}], "signature_name": "explain"},
        {"inputs": {"x": [[1, 2]], "by": 2}, "signature_name": "scale"},
    ),
    *({"instances": ["a", {"b64": "YQ"}]}, {"instances": [{"b64": "YQ"}], "signature_name": "serving_examples"}),
    *({"examples": [{"fare": 1, "hour": 2}], "context": {"area": 3}}, {"examples": [{"area": 3}]}),
    {"inputs": _TENSORS, "id": "a", "outputs": [{"name": "label"}], "parameters": {"label": "canary"}},
)
_BODIES = sent.mutated(_DOCUMENTS.map(sent.as_json), sent.JSON_PIECES)
_ODD_HEADERS = st.sampled_from(
    [
        *[("X-Request-Id", text) for text in ("a", "x" * 129, "\xff", "a,b", "")],
        *[("Content-Encoding", text) for text in ("gzip", "br", "identity", "gzip, gzip", "x" * 2000)],
        *[("Inference-Header-Content-Length", text) for text in ("0", "5", "9" * 5000, "-1", "x", "²", "1e2")],
        *[("traceparent", text) for text in ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "x" * 3000, "00-")],
        *[
            ("Content-Type", text)
            for text in ("multipart/form-data", "multipart/form-data; boundary=", "é", "text/csv")
        ],
        *[("Authorization", text) for text in ("Bearer", "Bearer " + "x" * 5000, "Basic é")],
        *[
            ("Accept", "x" * 5000),
            ("Expect", "100-continue"),
            ("Expect", "x"),
            ("Connection", "close"),
            ("TE", "trailers"),
        ],
    ]
)


@of(st.tuples(_METHODS, paths, _QUERIES, _BODIES, st.lists(_ODD_HEADERS, max_size=2)))
def rest(wire: Wire, case: tuple[str, str, str, bytes, list[tuple[str, str]]]) -> None:
    method, path, query, body, headers = case
    status, answered, _ = wire.ask(method, path + query, body, headers)
    insist_on_one_line(status, answered)
    wire.insist_on_a_good_answer()


_PREDICT = ["/v1/models/taxi:predict", "/v1/models/digits:predict", "/v1/models/house:predict?explain=true"]
_PREDICT += [
    "/v1/models/codec:predict",
    "/v1/models/taxi:classify",
    "/v1/models/house:regress",
    "/v2/models/taxi/infer",
]


@of(st.tuples(st.sampled_from(_PREDICT), _BODIES))
def bodies(wire: Wire, case: tuple[str, bytes]) -> None:
    path, body = case
    status, answered, _ = wire.ask("POST", path, body)
    insist_on_one_line(status, answered)
    wire.insist_on_a_good_answer()


@of(st.tuples(st.sampled_from(_PREDICT), sent.forms([*ROW, "pixels", "image", "signature_name"])))
def forms(wire: Wire, case: tuple[str, tuple[bytes, str]]) -> None:
    path, (body, content_type) = case
    status, answered, _ = wire.ask("POST", path, body, [("Content-Type", content_type.replace("\0", ""))])
    insist_on_one_line(status, answered)
    wire.insist_on_a_good_answer()


@of(
    st.tuples(
        sent.mutated(_DOCUMENTS.map(sent.as_json).map(gzip.compress)), st.sampled_from(["gzip", "x-gzip", "GZIP"])
    )
)
def packed(wire: Wire, case: tuple[bytes, str]) -> None:
    body, encoding = case
    status, answered, _ = wire.ask("POST", _PREDICT[0], body, [("Content-Encoding", encoding)])
    insist_on_one_line(status, answered)
    wire.insist_on_a_good_answer()


_LINES = [b"POST /v1/models/taxi:predict HTTP/1.1\r\n", b"GET /v1/models HTTP/1.1\r\n", b"GET /livez HTTP/1.0\r\n"]
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(_GOOD), _GOOD)
_LONG = b"Content-Length: %d\r\n\r\n%b" % (len(_GOOD), _GOOD)
_WIRE_PIECES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"0\r\n\r\n",
    ),
    *(
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
    ),
    *(b"FFFFFFFFFFFFFFFFF\r\n", b"5;a=b\r\nhello\r\n", b"0\r\nTrailer: x\r\n", b"Host: \xff\0\r\n", b" folded: y\r\n"),
    *(
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n",
        b"x: " + b"y" * 70_000,
    ),
    *(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"GET http://[::1 HTTP/1.1\r\n",
        b"GET  HTTP/1.1\r\n",
        b"Expect: 100-continue\r\n",
    ),
]
_REQUESTS = st.builds(
    lambda line, rest: line + b"Host: x\r\n" + rest,
    st.sampled_from(_LINES),
    st.sampled_from([b"\r\n", _CHUNKED, _LONG]),
)
raw_requests = sent.mutated(st.lists(_REQUESTS, min_size=1, max_size=3).map(b"".join), _WIRE_PIECES)


@of(raw_requests)
def raw_http(wire: Wire, data: bytes) -> None:
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answered = wire.raw(data + last)
    for status, body in responses(answered):
        insist_on_one_line(status, body)
    wire.insist_on_a_good_answer()


class _Said(io.BytesIO):
    """What http.client reads as if it came from a socket; it stays open from one response to the next."""

    def makefile(self, *_: Any) -> _Said:
        return self

    def close(self) -> None:
        pass


def responses(answered: bytes) -> Iterator[tuple[int, bytes]]:
    said = _Said(answered)
    while said.tell() < len(answered):
        response = http.client.HTTPResponse(said)  # type: ignore[arg-type]
        response.begin()
        yield response.status, response.read()


# -- gRPC


def _taxi() -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "taxi"
    for name, value in ROW.items():
        dtype = {"area": tf.int64, "hour": tf.int64, "company": tf.string}.get(name, tf.float32)
        request.inputs[name].CopyFrom(tf.make_tensor_proto([value], dtype))
    return request


@st.composite
def predict_messages(draw: st.DrawFn) -> bytes:
    request = _taxi()
    for name in draw(st.lists(st.sampled_from([*ROW, "zz"]), max_size=2)):
        request.inputs[name].CopyFrom(draw(sent.tensor_protos()))
    spec = request.model_spec
    _odd_spec(draw, spec)
    request.output_filter.extend(draw(st.lists(st.sampled_from(["label", "probability", "zz", ""]), max_size=3)))
    return bytes(request.SerializeToString())


def _odd_spec(draw: st.DrawFn, spec: Any) -> None:
    spec.name = draw(st.sampled_from(["taxi", "taxi", "taxi", "house", "codec", "", "\0", "x\n" * 2000, "é" * 3000]))
    odd = draw(st.integers(0, 9))
    if odd == 0:
        spec.version.value = draw(st.sampled_from([-1, 0, 1, 2, 2**63 - 1, -(2**63)]))
    elif odd == 1:
        spec.version_label = draw(st.sampled_from(["canary", "stable", "", "\U0001f600" * 2000]))
    elif odd == 2:
        spec.signature_name = draw(
            st.sampled_from(["explain", "classify", "serving_examples", "\U0001f600" * 2000, "\n"])
        )


_EXAMPLE = tf.train.Example()
_EXAMPLE.features.feature["fare"].float_list.value.append(1)
_EXAMPLE.features.feature["hour"].int64_list.value.append(1)
_EXAMPLE.features.feature["area"].float_list.value.append(1)


@st.composite
def example_messages(draw: st.DrawFn, made: type[Any]) -> bytes:
    request = made()
    if hasattr(request, "model_spec"):
        _odd_spec(draw, request.model_spec)
    else:
        for _ in range(draw(st.integers(0, 3))):
            task = request.tasks.add(
                method_name=draw(
                    st.sampled_from(["tensorflow/serving/classify", "tensorflow/serving/regress", "x" * 3000])
                )
            )
            _odd_spec(draw, task.model_spec)
    given = request.input
    if draw(st.booleans()):
        given = given.example_list_with_context
        given.context.features.feature[draw(st.sampled_from(["fare", "zz", "é"]))].float_list.value.append(2)
    else:
        given = given.example_list
    for raw in draw(st.lists(sent.mutated(st.just(_EXAMPLE.SerializeToString())), max_size=2)):
        with contextlib.suppress(Exception):
            given.examples.append(tf.train.Example.FromString(raw))
    return bytes(request.SerializeToString())


def _metadata() -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda name, fields: get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=fields, model_spec={"name": name}
        ).SerializeToString(),
        st.sampled_from(["taxi", "", "é" * 2000]),
        st.lists(st.sampled_from(["signature_def", "", "\n" * 2000, "é" * 2000]), max_size=3),
    )


def _named(made: type[Any], **fields: str) -> st.SearchStrategy[bytes]:
    odd = st.sampled_from(["taxi", "", "1", "-1", "9" * 5000, "٣", "\0", "\n", "\U0001f600" * 2000, "x" * 20_000])
    return st.fixed_dictionaries(dict.fromkeys(fields, odd)).map(lambda said: made(**said).SerializeToString())


@st.composite
def infers(draw: st.DrawFn) -> bytes:
    message = draw(sent.infer_messages([*ROW, "pixels", "examples"], [*DTYPES, "FP8", "", "é" * 2000]))
    message.model_name = draw(st.sampled_from(["taxi", "taxi", "codec", "digits", "é" * 2000]))
    message.model_version = draw(st.sampled_from(["", "", "", "1", "9" * 5000, "٣"]))
    if draw(st.booleans()):
        message.ClearField("inputs")
        message.ClearField("raw_input_contents")
        for name, datatype in (("fare", "FP32"), ("hour", "INT64")):
            given = message.inputs.add(
                name=name, datatype=datatype, shape=draw(st.sampled_from([[1], [0], [1, 1], [2**62, 0]]))
            )
            getattr(given.contents, "fp32_contents" if name == "fare" else "int64_contents").append(1)
    return bytes(message.SerializeToString())


_P, _V2, _H = "/tensorflow.serving.PredictionService/", "/inference.GRPCInferenceService/", "/grpc.health.v1.Health/"
_RPCS: dict[str, st.SearchStrategy[bytes]] = {
    f"{_P}Predict": predict_messages(),
    f"{_P}Classify": example_messages(classification_pb2.ClassificationRequest),
    f"{_P}Regress": example_messages(regression_pb2.RegressionRequest),
    f"{_P}MultiInference": example_messages(inference_pb2.MultiInferenceRequest),
    f"{_P}GetModelMetadata": _metadata(),
    f"{_V2}ModelInfer": infers(),
    f"{_V2}ModelMetadata": _named(service_pb2.ModelMetadataRequest, name="", version=""),
    f"{_V2}ModelReady": _named(service_pb2.ModelReadyRequest, name="", version=""),
    f"{_V2}ServerLive": st.just(b""),
    f"{_V2}Nothing": st.just(b""),
    f"{_V2}RepositoryIndex": st.just(b""),
    f"{_V2}ModelStatistics": st.just(b"\x0a\x04taxi"),
    f"{_H}Check": st.sampled_from(
        [b"", b"\x0a\x04taxi", b"\x0a\xd0\x0f" + b"x" * 2000, b"\x0a\x80\xfa\x01" + b"y" * 32_000]
    ),
    "/tensorflow.serving.ModelService/GetModelStatus": st.sampled_from(["taxi", "", "é" * 2000]).map(
        lambda name: get_model_status_pb2.GetModelStatusRequest(model_spec={"name": name}).SerializeToString()
    ),
    "/tensorflow.serving.ModelService/HandleReloadConfigRequest": st.just(b""),
}
calls = st.one_of(*(st.tuples(st.just(method), sent.mutated(messages)) for method, messages in _RPCS.items()))


@of(calls)
def rpc(wire: Wire, case: tuple[str, bytes]) -> None:
    code, said = wire.call(*case)
    assert code is grpc.StatusCode.OK or code in REFUSALS, (code, said)
    if code in REFUSALS:
        assert len(said) <= 1000 and len(said.splitlines()) <= 1, said
    wire.insist_on_a_good_answer()


_FRAMES = st.lists(
    st.builds(
        lambda kind, flags, stream, content: (
            struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content
        ),
        st.integers(0, 12),
        st.integers(0, 255),
        st.sampled_from([0, 1, 2, 3, 2**31 - 1, 2**32 - 1]),
        st.binary(max_size=40),
    ),
    max_size=5,
).map(b"".join)


@of(st.tuples(st.sampled_from([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b""]), _FRAMES))
def http2_frames(wire: Wire, case: tuple[bytes, bytes]) -> None:
    with socket.create_connection(("127.0.0.1", wire.server.grpc), timeout=_SECONDS) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"".join(case))
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                connection.recv(1 << 16)
    code, _ = wire.call(f"{_V2}ServerLive", b"")
    assert code is grpc.StatusCode.OK


# -- the same, asked in every way

_FLOATS = st.floats(-100, 100, width=32)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "fare": _FLOATS,
            "miles": st.one_of(st.none(), _FLOATS),
            "area": st.one_of(st.none(), st.integers(-(2**62), 2**63 - 1)),
            "company": st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=5)),
            "hour": st.integers(-(2**62), 2**63 - 1),
        }
    ),
    min_size=1,
    max_size=4,
)
_TYPES = {"fare": "FP32", "miles": "FP32", "area": "INT64", "company": "BYTES", "hour": "INT64"}
_MISSING = {"miles": math.nan, "area": saved_models.INT_MISSING, "company": ""}


def _columns(given: list[dict[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    columns = {}
    for name, datatype in _TYPES.items():
        column = [_MISSING[name] if row[name] is None else row[name] for row in given]
        texts = [one.encode() if isinstance(one, str) else one for one in column]
        columns[name] = np.array(texts, DTYPES[datatype])
    return columns


def expected(given: list[dict[str, Any]]) -> list[float]:
    """What taxi, of bias 0, answers."""
    missing = [
        (row["miles"] is None) + (row["area"] is None) + (row["company"] in (None, "", "NA", "None")) for row in given
    ]
    return [1 / (1 + math.exp(-(row["fare"] / 10 + more))) for row, more in zip(given, missing, strict=True)]


def by_rows(wire: Wire, given: list[dict[str, Any]]) -> list[float]:
    status, body, _ = wire.ask("POST", "/v1/models/taxi:predict", sent.as_json({"instances": given}))
    assert status == 200, body
    return [one["probability"] for one in json.loads(body)["predictions"]]


def by_columns(wire: Wire, given: list[dict[str, Any]]) -> list[float]:
    columns = {name: [row[name] for row in given] for name in _TYPES}
    status, body, _ = wire.ask("POST", "/v1/models/taxi:predict", sent.as_json({"inputs": columns}))
    assert status == 200, body
    return list(json.loads(body)["outputs"]["probability"])


def by_predict(wire: Wire, given: list[dict[str, Any]]) -> list[float]:
    request = _taxi()
    for name, column in _columns(given).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(column))
    code, raw = wire.call(f"{_P}Predict", request.SerializeToString())
    assert code is grpc.StatusCode.OK, raw
    return list(predict_pb2.PredictResponse.FromString(raw).outputs["probability"].float_val)


def by_infer_json(wire: Wire, given: list[dict[str, Any]]) -> list[float]:
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(given)], "data": [row[name] for row in given]}
        for name, datatype in _TYPES.items()
    ]
    return _inferred(wire, sent.as_json({"inputs": inputs}), [])


def by_infer_bytes(wire: Wire, given: list[dict[str, Any]]) -> list[float]:
    raw = {name: to_bytes(column) for name, column in _columns(given).items()}
    inputs = [
        {
            "name": name,
            "datatype": _TYPES[name],
            "shape": [len(given), 1],
            "parameters": {"binary_data_size": len(part)},
        }
        for name, part in raw.items()
    ]
    head = sent.as_json({"inputs": inputs})
    return _inferred(wire, head + b"".join(raw.values()), [("Inference-Header-Content-Length", str(len(head)))])


def _inferred(wire: Wire, body: bytes, headers: Sequence[tuple[str, str]]) -> list[float]:
    status, answered, _ = wire.ask("POST", "/v2/models/taxi/infer", body, headers)
    assert status == 200, answered
    return next(one["data"] for one in json.loads(answered)["outputs"] if one["name"] == "probability")


def by_infer_message(wire: Wire, given: list[dict[str, Any]]) -> list[float]:
    message = service_pb2.ModelInferRequest(model_name="taxi")
    for name, column in _columns(given).items():
        message.inputs.add(name=name, datatype=_TYPES[name], shape=[len(given)])
        message.raw_input_contents.append(to_bytes(column))
    message.outputs.add(name="probability")
    code, raw = wire.call(f"{_V2}ModelInfer", message.SerializeToString())
    assert code is grpc.StatusCode.OK, raw
    return np.frombuffer(service_pb2.ModelInferResponse.FromString(raw).raw_output_contents[0], np.float32).tolist()


WAYS = (by_rows, by_columns, by_predict, by_infer_json, by_infer_bytes, by_infer_message)


@of(rows)
def every_way_answers_the_same(wire: Wire, given: list[dict[str, Any]]) -> None:
    wanted = expected(given)
    for way in WAYS:
        np.testing.assert_allclose(way(wire, given), wanted, rtol=1e-4, atol=1e-6, err_msg=way.__name__)


@of(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False), min_size=1, max_size=5))
def float32_goes_through_unchanged(wire: Wire, given: list[float]) -> None:
    asked = {"signature_name": "scale", "inputs": {"x": [given], "by": 1}}
    status, body, _ = wire.ask("POST", "/v1/models/codec:predict", sent.as_json(asked))
    assert status == 200, body
    assert np.float32(json.loads(body)["outputs"]).tolist() == [np.float32(given).tolist()]


# -- together

_BAD = _DOCUMENTS.map(sent.as_json)


@of(st.lists(st.one_of(rows, _BAD), min_size=2, max_size=6))
def of_several_at_once_each_has_its_own(wire: Wire, asked: list[Any]) -> None:
    def ask(one: Any) -> None:
        own = Wire(wire.server, wire.key)
        try:
            if isinstance(one, bytes):
                insist_on_one_line(*own.ask("POST", "/v1/models/taxi:predict", one)[:2])
            else:
                np.testing.assert_allclose(by_rows(own, one), expected(one), rtol=1e-4, atol=1e-6)
        finally:
            own._close()

    with concurrent.futures.ThreadPoolExecutor(len(asked)) as threads:
        list(threads.map(ask, asked))
