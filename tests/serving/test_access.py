"""API keys, their limits, and the access log: REST and gRPC, against a real server."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import conftest
import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from model_store import ModelStore

PREDICT = "/v1/models/house:predict"
BODY = {"instances": [1.0, 2.0]}


def keys(path: pathlib.Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "cli.main", "keys", *arguments, "--api-keys", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def path(folder):
    return folder / "keys" / "api-keys.json"


@pytest.fixture(scope="module")
def log(folder):
    return folder / "access.jsonl"


@pytest.fixture(scope="module")
def server(folder, exports, path, log):
    store = ModelStore(folder / "models")
    conftest.publisher(store)("house", exports["house"])
    keys(path, "create", "first")
    running = conftest.Server(folder, store, "--api-keys", str(path), "--access-log", str(log))
    yield running.wait_until_ready()
    running.stop()


def ask(server, key="", **headers):
    return server.ask("POST", PREDICT, BODY, {**headers, **({"X-API-Key": key} if key else {})})


def lines(log, most):
    conftest.wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= most, 10)
    return [json.loads(line) for line in log.read_text().splitlines()]


def predict(server, *metadata):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "house"
    request.inputs["area"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return stub.Predict.with_call(request, metadata=metadata, timeout=20)


def refused(server, *metadata):
    with pytest.raises(grpc.RpcError) as raised:
        predict(server, *metadata)
    return raised.value


def test_without_a_key_nothing_is_answered_but_whether_the_server_is_up(server):
    for method, target in (
        ("POST", PREDICT),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/house"),
        ("GET", "/metrics"),
        ("GET", "/nowhere"),
        ("GET", "/healthz/"),
        ("GET", "//healthz"),
        ("GET", "/openapi.json"),
        ("GET", "/docs/"),
    ):
        status, said, headers = server.ask(method, target, BODY if method == "POST" else None)
        assert status == 401 and "API key" in said["error"], target
        assert headers["WWW-Authenticate"].startswith("Bearer")
    assert server.get("/healthz")[0] == server.get("/livez")[0] == 200
    assert server.get("/docs")[0] == server.get("/docs/page.js")[0] == 200, "the page, which says nothing of the models"
    assert refused(server).code() is grpc.StatusCode.UNAUTHENTICATED
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        with pytest.raises(grpc.RpcError) as raised:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            stub.GetModelStatus(get_model_status_pb2.GetModelStatusRequest(), timeout=20)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_key_opens_both_protocols_in_both_spellings_until_it_is_revoked(server, path):
    key = keys(path, "create", "shop")
    conftest.wait_for(lambda: ask(server, key)[0] == 200, 5)
    assert ask(server, Authorization=f"Bearer {key}")[0] == 200
    assert server.ask("GET", "/metrics", None, {"Authorization": f"bearer {key}"})[0] == 200
    assert predict(server, ("x-api-key", key))[1].code() is grpc.StatusCode.OK
    assert predict(server, ("authorization", f"Bearer {key}"))[1].code() is grpc.StatusCode.OK
    assert ask(server, Authorization=f"Basic {key}")[0] == ask(server, Authorization="Bearer ")[0] == 401
    for wrong in (key[:-1], f"{key}x", key.upper(), "é" * 40, "a" * 300, "Bearer"):
        assert ask(server, wrong)[0] == 401, wrong
    assert key not in path.read_text() and path.stat().st_mode & 0o777 == 0o600
    keys(path, "revoke", "shop")
    conftest.wait_for(lambda: ask(server, key)[0] == 401, 5)
    assert refused(server, ("x-api-key", key)).code() is grpc.StatusCode.UNAUTHENTICATED


def test_above_its_limit_a_key_gets_429_with_the_time_to_wait_and_others_go_on(server, path):
    slow = keys(path, "create", "slow", "--rate", "0.01/s", "--burst", "3")
    quick = keys(path, "create", "quick")
    conftest.wait_for(lambda: ask(server, quick)[0] == 200, 5)
    assert [ask(server, slow)[0] for _ in range(2)] == [200, 200]
    assert predict(server, ("x-api-key", slow))  # one bucket for both protocols
    status, said, headers = ask(server, slow)
    assert status == 429 and "'slow' may send 0.01 requests a second" in said["error"]
    assert 90 <= int(headers["Retry-After"]) <= 100
    error = refused(server, ("x-api-key", slow))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 90_000 <= int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) <= 100_000
    assert ask(server, quick)[0] == 200


def test_a_damaged_file_leaves_the_keys_of_before_in_force(server, path):
    key = keys(path, "create", "damaged")
    conftest.wait_for(lambda: ask(server, key)[0] == 200, 5)
    whole = path.read_text()
    path.write_text('{"keys": [')
    conftest.wait_for(lambda: ask(server, key)[0] == 200 and "stay in force" in server.log(), 5)
    path.unlink()
    conftest.wait_for(lambda: ask(server, key)[0] == 200 and server.log().count("stay in force") == 2, 5)
    path.touch(0o600)
    path.write_text(whole)


def test_the_log_says_who_asked_what_and_nothing_of_its_content(server, path, log):
    key = keys(path, "create", "logged")
    conftest.wait_for(lambda: ask(server, key)[0] == 200, 5)
    trace = "0af7651916cd43dd8448eb211c80319c"
    ask(server, key, **{"X-Request-Id": "order-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    predict(server, ("x-api-key", key), ("x-request-id", "order-2"), ("traceparent", f"00-{trace}-b7ad6b7169203331-00"))
    ask(server)
    refused(server)
    answered = server.ask("GET", "/v1/models/nowhere", None, {"X-API-Key": key, "X-Request-Id": "not fit"})
    unknown_id = answered[2]["X-Request-Id"]
    conftest.wait_for(lambda: unknown_id in log.read_text(), 10)
    rest, rpc, no_key, no_rpc, unknown = lines(log, 5)[-5:]
    told = {"model": "house", "version": 1, "label": "stable", "rows": 2, "key": "logged", "trace_id": trace}
    assert rest.items() >= {**told, "protocol": "rest", "request_id": "order-1", "code": 200, "path": PREDICT}.items()
    assert rest["bytes_in"] == len(json.dumps(BODY)) and rest["bytes_out"] > 10 and 0 < rest["ms"] < 10_000
    assert rpc.items() >= {**told, "protocol": "grpc", "request_id": "order-2", "code": "OK"}.items()
    assert rpc["path"] == "/tensorflow.serving.PredictionService/Predict" and rpc["bytes_in"] > 10 < rpc["bytes_out"]
    assert (no_key["code"], no_rpc["code"], unknown["code"]) == (401, "UNAUTHENTICATED", 404)
    assert unknown["request_id"] == unknown_id != "not fit"
    assert key not in log.read_text() and "predictions" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_probes_are_not_logged_and_a_log_that_was_moved_away_begins_anew(server, path, log):
    server.get("/healthz")
    ask(server)
    lines(log, 1)
    log.rename(moved := log.with_suffix(".1"))
    conftest.wait_for(log.exists, 10)
    ask(server)
    assert [one["code"] for one in lines(log, 1)] == [401]
    assert '"/healthz"' not in moved.read_text() + log.read_text()


def test_a_file_of_keys_that_is_not_fit_is_one_line_at_once(tmp_path, start, publish):
    path = tmp_path / "keys.json"
    for content, mode, said in (
        (None, 0o600, "cannot be read: No such file or directory"),
        ('{"keys": []}', 0o644, "is open to others (mode 644). Mend it: chmod 600"),
        ('{"keys": []}', 0o660, "is open to its group (mode 660)"),
        ("{}", 0o600, "keys: Field required"),
        ('{"keys": [{"name": "a", "sha256": "x", "created": ""}]}', 0o600, "keys.0.sha256"),
    ):
        if content is not None:
            path.write_text(content)
            path.chmod(mode)
        server = start("--api-keys", str(path))
        assert server.process.wait(60) == 2
        assert said in server.log() and len(server.log().splitlines()) == 1, server.log()


def test_it_is_said_what_is_open_to_other_machines(publish, start, exports):
    publish("house", exports["house"])
    said = "0.0.0.0 is reached from other machines, without API keys (--api-keys) and TLS (--tls-cert): docs/guides/"
    assert said in start("--host", "0.0.0.0").wait_until_ready().log()


def test_workers_share_limits_and_write_one_log(publish, start, exports, tmp_path, capfd):
    publish("house", exports["house"])
    path = tmp_path / "keys.json"
    key = keys(path, "create", "shop", "--rate", "0.001/s", "--burst", "5")
    server = start("--workers", "2", "--api-keys", str(path), "--access-log", "-").wait_until_ready()
    codes = [ask(server, key)[0] for _ in range(40)]  # each on a connection of its own
    assert (codes.count(200), codes.count(429)) == (5, 35)
    with pytest.raises(grpc.RpcError) as raised:
        predict(server, ("x-api-key", key))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    server.stop()
    written = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [one["code"] for one in written].count(429) == 35 and len(written) == 41
