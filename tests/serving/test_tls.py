"""TLS and mutual TLS with certificates of openssl's, asked by curl and by gRPC."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import time

import certificates
import conftest
import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc
from test_connections import answered

from model_store import ModelStore

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("curl")),
    reason="needs openssl and curl: apt-get install openssl curl",
)
SILENCE = 3.0
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303")  # its first bytes


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.make_authority(tmp_path_factory.mktemp("authority"), "ca")


@pytest.fixture(scope="module")
def pair(authority):
    return certificates.make_certificate(authority, "server")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Certificate and key of an authority that nobody here knows."""
    return certificates.make_certificate(
        certificates.make_authority(tmp_path_factory.mktemp("other"), "other"), "stranger"
    )


def tls_server(folder, exports, pair, *options):
    store = ModelStore(folder / "models")
    conftest.publisher(store)("house", exports["house"])
    certificate, key = map(str, pair)
    more = ("--tls-cert", certificate, "--tls-key", key, "--silence-seconds", str(SILENCE), *options)
    return conftest.Server(folder, store, *more)


@pytest.fixture(scope="module")
def server(tmp_path_factory, exports, pair):
    running = tls_server(tmp_path_factory.mktemp("tls"), exports, pair)
    yield running.wait_until_ready()
    running.stop()


@pytest.fixture(scope="module")
def mutual(tmp_path_factory, exports, pair, authority):
    running = tls_server(tmp_path_factory.mktemp("mutual"), exports, pair, "--tls-client-ca", str(authority))
    yield running.wait_until_ready()
    running.stop()


def curl(server, *options):
    """The exit code of curl, and what it was answered."""
    target = f"https://127.0.0.1:{server.rest}/v1/models/house:predict"
    command = ["curl", "-sS", "--max-time", "20", "-d", '{"instances": [2]}', *map(str, options), target]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout


def status(server, credentials):
    """The gRPC code of a call."""
    channel = (
        grpc.secure_channel(f"127.0.0.1:{server.grpc}", credentials)
        if credentials
        else grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
    )
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "house"
    with channel:
        try:
            model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=10)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def trusting(authority, pair=None):
    certificate, key = (one.read_bytes() for one in pair) if pair else (None, None)
    return grpc.ssl_channel_credentials(authority.read_bytes(), key, certificate)


def test_both_protocols_speak_tls_and_nothing_else(server, authority, stranger):
    assert curl(server, "--cacert", authority) == (0, '{"predictions":[4.0]}')
    assert status(server, trusting(authority)) is grpc.StatusCode.OK
    assert curl(server, "--cacert", stranger[0])[0] == 60
    assert status(server, None) is grpc.StatusCode.UNAVAILABLE
    with socket.create_connection(("127.0.0.1", server.rest), timeout=20) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" not in answered(plain)
    assert "REST https://" in server.log()


@pytest.mark.parametrize("port", ["rest", "grpc"])
@pytest.mark.parametrize(("version", "agreed"), [("1_1", False), ("1_2", True)])
def test_tls_is_1_2_at_least(server, authority, port, version, agreed):
    where = f"127.0.0.1:{getattr(server, port)}"
    # Whether the client could: its security level 0 allows the old version.
    command = ["openssl", "s_client", "-connect", where, f"-tls{version}", "-cipher", "ALL:@SECLEVEL=0", "-alpn", "h2"]
    command += ["-CAfile", authority]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=20
    )
    spoken = "Verify return code: 0 (ok)" in done.stdout and "Cipher is (NONE)" not in done.stdout
    assert spoken == agreed, done.stdout


def test_who_has_no_certificate_of_the_authority_is_not_answered(mutual, authority, stranger):
    client = certificates.make_certificate(authority, "client")
    code, said = curl(mutual, "--cacert", authority, "--cert", client[0], "--key", client[1])
    assert (code, json.loads(said)) == (0, {"predictions": [4.0]})
    assert status(mutual, trusting(authority, client)) is grpc.StatusCode.OK
    assert curl(mutual, "--cacert", authority)[0] != 0
    assert curl(mutual, "--cacert", authority, "--cert", stranger[0], "--key", stranger[1])[0] != 0
    assert status(mutual, trusting(authority)) is grpc.StatusCode.UNAVAILABLE
    assert status(mutual, trusting(authority, stranger)) is grpc.StatusCode.UNAVAILABLE


def test_handshakes_that_never_end_are_closed_and_take_nothing(server, authority):
    with contextlib.ExitStack() as kept:
        halves = []
        for port in (server.rest, server.grpc):
            for sent in (b"", CLIENT_HELLO):
                for _ in range(50):
                    one = kept.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                    one.sendall(sent)
                    halves.append(one)
        started = time.monotonic()
        assert all(curl(server, "--cacert", authority)[0] == 0 for _ in range(5))
        for one in halves:
            answered(one)  # until the server closes it
        assert time.monotonic() - started < 25  # asyncio's own bound is 60 s, gRPC's 120 s
    assert curl(server, "--cacert", authority)[0] == 0


def test_within_tls_a_head_that_never_ends_is_refused_as_ever(server, authority):
    context = ssl.create_default_context(cafile=str(authority))
    with context.wrap_socket(
        socket.create_connection(("127.0.0.1", server.rest), timeout=30), server_hostname="127.0.0.1"
    ) as one:
        one.sendall(b"POST /v1/models/house:predict HTTP/1.1\r\nHost: x\r\n")
        assert one.recv(100).startswith(b"HTTP/1.1 408")


def test_files_that_are_not_fit_are_one_line_at_once(tmp_path, start, pair, stranger, authority):
    certificate, key = pair
    open_key = tmp_path / "open.key"
    shutil.copy(key, open_key)
    open_key.chmod(0o644)
    words = tmp_path / "words.pem"
    words.write_text("no certificate")
    words.chmod(0o600)
    for options, said in (
        (("--tls-cert", certificate, "--tls-key", open_key), "is open to others (mode 644). Mend it: chmod 600"),
        (("--tls-cert", certificate, "--tls-key", stranger[1]), "is not the key of the certificate"),
        (("--tls-cert", words, "--tls-key", key), "expected a certificate in PEM"),
        (("--tls-cert", tmp_path / "none.pem", "--tls-key", key), "cannot be read: No such file"),
        (("--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", words), "expected certificates in PEM"),
        (("--tls-cert", certificate), "--tls-cert and --tls-key belong together"),
        (("--tls-client-ca", authority), "name --tls-cert and --tls-key too"),
    ):
        server = start(*map(str, options))
        assert server.process.wait(60) == 2
        assert said in server.log().splitlines()[-1], server.log()
