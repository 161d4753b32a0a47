"""deploy/gateway/envoy.yaml: the real Envoy before a real model server with API keys."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys

import certificates
import conftest
import grpc
import pytest
import tensorflow as tf
from conftest import wait_for
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from model_store import ModelStore
from tests.collector import collector
from tests.deploy.gateway.envoys import GATEWAY, Gateway, Issuer

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl: apt-get install openssl")
PREDICT = "/v1/models/house:predict"
BODY = {"instances": [1.0, 2.0]}
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def authority(folder):
    (folder / "tls").mkdir()
    return certificates.make_authority(folder / "tls", "ca")


@pytest.fixture(scope="module")
def double():
    with collector() as double:
        yield double


def make_key(folder: pathlib.Path, name: str) -> str:
    command = [sys.executable, "-m", "cli.main", "keys", "create", name, "--api-keys", str(folder / "keys.json")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def key(folder):
    return make_key(folder, "shop")


@pytest.fixture(scope="module")
def server(folder, key, exports):
    store = ModelStore(folder / "models")
    conftest.publisher(store)("house", exports["house"])
    edge = (GATEWAY / "server-key.yaml.example").read_text().replace("KEY", make_key(folder, "edge"))
    (folder / "server-key.yaml").write_text(edge)
    log = str(folder / "server.jsonl")
    running = conftest.Server(folder, store, "--api-keys", str(folder / "keys.json"), "--access-log", log)
    yield running.wait_until_ready()
    running.stop()


@pytest.fixture(scope="module")
def gateway(folder, authority, server, issuer, double):
    certificates.make_certificate(authority, "server")
    shutil.copy(authority, authority.with_name("clients.pem"))
    (folder / "jwks.json").write_text(json.dumps(issuer.jwks))
    running = Gateway(folder, server.rest, server.grpc, int(double.url.rpartition(":")[2]))
    yield running.wait_until_ready()
    running.stop()


@pytest.fixture(scope="module")
def ask(gateway, authority):
    def one(method="POST", path=PREDICT, body=BODY, listener="public", pair=None, **headers):
        context = ssl.create_default_context(cafile=str(authority))
        if pair:
            context.load_cert_chain(*pair)
        connection = http.client.HTTPSConnection("127.0.0.1", gateway.ports[listener], timeout=30, context=context)
        sent = json.dumps(body) if method == "POST" else None
        connection.request(method, path, sent, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        said = response.read()
        connection.close()
        return response.status, said, response.headers

    return one


def test_an_api_key_or_a_jwt_opens_it_and_nothing_else(ask, key, issuer):
    assert ask(x_api_key=key)[:2] == (200, b'{"predictions":[2.0,4.0]}')
    assert ask(authorization=f"Bearer {key}")[0] == 200
    assert ask(authorization=f"Bearer {issuer.token()}")[0] == 200
    assert ask()[0] == 401
    assert ask(x_api_key="ty_wrong")[0] == 401
    for wrong in (
        issuer.token(exp=1),
        issuer.token(aud="others"),
        issuer.token(iss="https://elsewhere.example.com/"),
        Issuer().token(),
        issuer.token()[:-4] + "AAAA",
    ):
        assert ask(authorization=f"Bearer {wrong}")[0] in (401, 403)
        assert ask(authorization=f"bearer {wrong}")[0] == 401  # not ours to verify: the server knows no such key
        assert ask(authorization=f"Bearer {wrong}", x_api_key=key)[0] in (401, 403)


def test_grpc_goes_the_same_way(gateway, authority, key, issuer):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "house"
    request.inputs["area"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    credentials = grpc.ssl_channel_credentials(authority.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{gateway.ports['public']}", credentials) as channel:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        for given in (("x-api-key", key), ("authorization", f"Bearer {issuer.token()}")):
            assert len(predict(request, metadata=[given], timeout=20).outputs) == 1
        with pytest.raises(grpc.RpcError) as raised:
            predict(request, timeout=20)
        with pytest.raises(grpc.RpcError) as hidden:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", metadata=[("x-api-key", key)], timeout=20)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert hidden.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_only_the_models_are_reached_from_outside(gateway, ask, key):
    for path in ("/metrics", "/healthz", "/", "/stats/prometheus", "/v1/../metrics", "/v1/%2e%2e/metrics", "//metrics"):
        assert ask("GET", path, x_api_key=key)[0] in (400, 404), path
    assert ask("GET", "/v1/models/house", x_api_key=key)[0] == 200
    inside = http.client.HTTPConnection("127.0.0.1", gateway.ports["private"], timeout=30)
    for path, expected in (
        ("/metrics", b"trainyard_serving_"),
        ("/stats/prometheus", b"envoy_cluster"),
        ("/ready", b"LIVE"),
    ):
        inside.request("GET", path)
        answer = inside.getresponse()
        assert answer.status == 200 and expected in answer.read(), path
    inside.request("GET", PREDICT)
    assert inside.getresponse().status == 404


def test_each_key_and_each_address_without_one_has_a_limit(ask, folder, key):
    hurried = make_key(folder, "hurried")
    answers = [ask("GET", "/v1/models", x_api_key=hurried) for _ in range(60)]
    refused = [one for one in answers if one[0] == 429]
    assert refused and refused[0][2]["retry-after"] == "1"
    assert ask(x_api_key=key)[0] == 200
    assert 429 in [ask()[0] for _ in range(20)]


def test_pages_of_known_origins_may_ask(ask, key):
    asked = {"origin": "https://app.example.com", "access_control_request_method": "POST"}
    status, _, headers = ask("OPTIONS", **asked, access_control_request_headers="x-api-key")
    assert status == 200 and headers["access-control-allow-origin"] == asked["origin"]
    assert "x-api-key" in headers["access-control-allow-headers"]
    assert ask(x_api_key=key, origin=asked["origin"])[2]["access-control-allow-origin"] == asked["origin"]
    assert ask(x_api_key=key, origin="https://evil.example.com")[2]["access-control-allow-origin"] is None


def test_long_answers_are_compressed_and_long_heads_refused(ask, key):
    status, said, headers = ask(body={"instances": [0.5] * 1000}, x_api_key=key, accept_encoding="gzip")
    assert status == 200 and headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(said))["predictions"]) == 1000
    assert ask(x_api_key=key, accept_encoding="gzip")[2]["content-encoding"] is None
    assert ask(x_api_key=key, x_more="a" * 70_000)[0] == 431


def test_clients_with_a_certificate_have_a_port_of_their_own(ask, authority, key):
    client = certificates.make_certificate(authority, "partner")
    assert ask(listener="mutual", pair=client, x_api_key=key)[0] == 200
    assert ask(listener="mutual", pair=client)[0] == 401
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(listener="mutual", x_api_key=key)


def test_a_request_has_one_id_and_one_trace_in_both_logs_and_at_the_collector(gateway, ask, folder, key, double):
    ask(x_api_key=key, x_request_id="order-77", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    server_log = folder / "server.jsonl"

    def lines(records):
        return [one for one in records if one.get("request_id") == "order-77"]

    wait_for(lambda: lines(gateway.access()), 30)
    wait_for(lambda: "order-77" in server_log.read_text(), 10)
    (edge,), (inner,) = lines(gateway.access()), lines(map(json.loads, server_log.read_text().splitlines()))
    assert edge["trace_id"] == inner["trace_id"] == TRACE and edge["code"] == inner["code"] == 200
    assert edge["path"] == PREDICT and inner["key"] == "shop"
    assert key not in json.dumps(gateway.access())
    wait_for(lambda: any(one.trace_id == TRACE for one in double.spans()), 30)
    span = next(one for one in double.spans() if one.trace_id == TRACE)
    assert (span.service, span.parent_id) == ("trainyard-gateway", "b7ad6b7169203331")


def test_a_handshake_that_never_ends_is_closed(gateway):
    with socket.create_connection(("127.0.0.1", gateway.ports["public"]), timeout=30) as half:
        half.sendall(bytes.fromhex("16030100c8010000c40303"))
        with contextlib.suppress(ConnectionResetError):
            assert half.recv(10) == b""
