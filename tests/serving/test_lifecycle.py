"""Start, hot swap, refusal of a damaged release, limits and stop, with real processes."""

from __future__ import annotations

import json
import math
import os
import pathlib
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import saved_models
import tensorflow as tf
from conftest import wait_for
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving._options import parse_options

ROW = {"fare": 0.0, "miles": 1.5, "area": 3, "company": "x", "hour": 4}
BODY = {"instances": [ROW]}


def bias(answer) -> int:
    """Which of the taxi models answered."""
    probability = answer["predictions"][0]["probability"]
    return round(-math.log(1 / probability - 1))


def served(server, model="taxi"):
    return server.get("/healthz")[1]["models"].get(model)


def ask_by_rest(server, stop, answers):
    while not stop.is_set():
        status, answer, _ = server.post("taxi:predict", BODY)
        answers.append((status, bias(answer) if status == 200 else answer))


def ask_by_grpc(server, stop, answers):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "taxi"
    types = {"fare": tf.float32, "miles": tf.float32, "area": tf.int64, "company": tf.string, "hour": tf.int64}
    for name, value in ROW.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto([value], dtype=types[name]))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        client = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        while not stop.is_set():
            try:
                response = client.Predict(request, timeout=20)
                probability = float(tf.make_ndarray(response.outputs["probability"])[0])
                answers.append((200, round(-math.log(1 / probability - 1))))
            except grpc.RpcError as error:
                answers.append((error.code(), error.details()))


def test_hot_swap_fails_no_request(store, publish, start, exports):
    for n in range(4):
        publish("taxi", exports[f"taxi_{n}"], None)
    store.promote("taxi", 1, reason="r", actor="a")
    server = start("--model", "taxi").wait_until_ready()
    stop, answers = threading.Event(), []
    with ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(ask, server, stop, answers) for ask in (ask_by_rest, ask_by_rest, ask_by_grpc)]
        try:
            store.set_label("taxi", "canary", 2, reason="r", actor="a")
            wait_for(lambda: served(server) == {"canary": 2, "stable": 1})
            store.promote("taxi", 2, reason="r", actor="a")
            wait_for(lambda: served(server) == {"stable": 2})
            store.promote("taxi", 4, reason="r", actor="a")
            wait_for(lambda: served(server) == {"stable": 4})
            store.rollback("taxi", reason="r", actor="a")
            wait_for(lambda: served(server) == {"stable": 2})
            wait_for(lambda: status_of(server, 4)["state"] == "END")
        finally:
            stop.set()
        for client in clients:
            client.result()
    failed = [answer for answer in answers if answer[0] != 200]
    assert not failed
    assert {answered for _, answered in answers} == {0, 1, 3}  # versions 1, 2 and 4
    assert len(answers) > 100
    assert server.post("taxi/versions/4:predict", BODY)[0] == 404
    assert "taxi version 1: unloaded" in server.log()


def status_of(server, version, model="taxi"):
    found = server.get(f"/v1/models/{model}")[1]["model_version_status"]
    return next((one for one in found if one["version"] == str(version)), {"state": "UNKNOWN"})


def test_a_flipped_byte_is_refused_and_the_previous_version_stays(store, publish, start, exports):
    publish("taxi", exports["taxi_0"])
    publish("taxi", exports["taxi_1"], None)
    server = start().wait_until_ready()
    weights = next(pathlib.Path(store.uri).glob("taxi/2/variables/variables.data-*"))
    intact = weights.read_bytes()
    weights.write_bytes(bytes([intact[0] ^ 1]) + intact[1:])

    store.set_label("taxi", "stable", 2, reason="r", actor="a")
    wait_for(lambda: status_of(server, 2)["state"] == "END")
    refused = status_of(server, 2)["status"]
    assert refused["error_code"] == "DATA_LOSS"
    assert "variables.data-00000-of-00001 was changed after publishing" in refused["error_message"]
    assert status_of(server, 1)["state"] == "AVAILABLE"
    status, answer, _ = server.post("taxi:predict", BODY)
    assert (status, bias(answer)) == (200, 0)
    status, health, _ = server.get("/healthz")
    assert (status, health["status"], list(health["damaged"])) == (200, "degraded", ["taxi"])
    assert 'trainyard_serving_load_failures_total{model="taxi",version="2"}' in server.get("/metrics")[1]
    assert "taxi version 2 is refused" in server.log()
    assert "Still in service: {'stable': 1}" in server.log()

    weights.write_bytes(intact)
    wait_for(lambda: served(server) == {"stable": 2})
    assert bias(server.post("taxi:predict", BODY)[1]) == 1


def test_one_damaged_model_takes_no_other_down(store, publish, start, exports):
    publish("house", exports["house"])
    publish("taxi", exports["taxi_0"])
    labels = pathlib.Path(store.uri, "taxi", "labels.json")
    said = labels.read_text()
    labels.write_text("")
    server = start().wait_until_ready()
    status, answer, _ = server.get("/healthz")
    assert (status, answer["status"], answer["models"]) == (200, "degraded", {"house": {"stable": 1}, "taxi": {}})
    assert "labels.json is damaged (it is empty). Write it anew as" in answer["damaged"]["taxi"]
    assert server.post("house:predict", {"instances": [2.0]})[0] == 200
    status, answer, _ = server.post("taxi:predict", BODY)
    assert (status, "labels.json is damaged" in answer["error"]) == (503, True)
    labels.write_text(said)
    wait_for(lambda: server.get("/healthz")[1]["status"] == "ready")
    labels.write_text("[]")  # damaged once more: what is loaded stays
    wait_for(lambda: server.get("/healthz")[1]["status"] == "degraded")
    assert server.post("taxi:predict", BODY)[0] == 200


def test_it_waits_for_a_store_and_a_stable_label(store, publish, start, exports):
    server = start("--model", "taxi").wait_until_ready()
    status, answer, _ = server.get("/healthz")
    assert (status, answer["status"]) == (503, "not ready")
    assert "no release in" in answer["waiting_for"]["taxi"]
    publish("taxi", exports["taxi_0"], None)
    wait_for(lambda: "release promote taxi 1" in server.get("/healthz")[1]["waiting_for"]["taxi"])
    status, answer, headers = server.post("taxi:predict", BODY)
    assert (status, headers["retry-after"]) == (503, "1")
    assert answer["error"].startswith("taxi has no stable version loaded: no stable label.")
    assert server.get("/livez")[0] == 200
    store.promote("taxi", 1, reason="r", actor="a")
    wait_for(lambda: server.get("/healthz")[0] == 200)
    assert server.post("taxi:predict", BODY)[0] == 200
    assert (
        "taxi is not served: no stable label. `trainyard release promote taxi 1` makes version 1 stable" in server.log()
    )
    # The store goes away: what is loaded stays.
    store_folder = pathlib.Path(store.uri)
    store_folder.rename(store_folder.with_name("elsewhere"))
    wait_for(lambda: "what is loaded stays in service" in server.log())
    assert server.post("taxi:predict", BODY)[0] == 200


HALF = json.dumps({"instances": [2.0]}).encode()


def send_half(server, body: bytes) -> socket.socket:
    """Opens a request whose body is not whole yet."""
    connection = socket.create_connection(("127.0.0.1", server.rest))
    head = f"POST /v1/models/house:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[:5])
    return connection


def test_limits_and_a_graceful_stop(publish, start, exports, tmp_path):
    publish("house", exports["house"])
    publish("slow", saved_models.save_slow(tmp_path / "slow", seconds=2.0))
    server = start("--max-in-flight", "2", "--max-request-mb", "0.01").wait_until_ready()
    status, answer, _ = server.post("house:predict", {"instances": [1.5] * 10_000})
    assert status == 413
    assert "--max-request-mb" in answer["error"]

    halves = [send_half(server, HALF) for _ in range(5)]  # a request that is not whole has no place
    row = {"fare": 1.0, "miles": 1.0, "area": 3, "company": "A", "hour": 7}
    with ThreadPoolExecutor(2) as callers:
        asked = [callers.submit(server.post, "slow:predict", {"instances": [row]}) for _ in range(2)]
        wait_for(lambda: "trainyard_serving_in_flight 2.0" in server.get("/metrics")[1])
        status, answer, headers = server.post("slow:predict", {"instances": [row]})
        assert (status, headers["retry-after"]) == (429, "1")
        assert "2 requests to slow version 1 are under way" in answer["error"]
        assert server.post("house:predict", {"instances": [1]})[0] == 200, "the places of one model are no other's"
        assert [one.result()[0] for one in asked] == [200, 200]
    assert server.post("house:predict", {"instances": [1]})[0] == 200

    server.process.terminate()
    wait_for(lambda: "stopping: 0 requests under way" in server.log())
    wait_for(lambda: refuses_connections(server.rest) and refuses_connections(server.grpc))
    assert server.process.poll() is None, "requests that had begun are answered"
    halves[1].sendall(HALF[5:])
    with halves[1].makefile("rb") as answer_file:
        assert answer_file.read().endswith(b'{"predictions":[4.0]}')
    for half in halves:
        half.close()
    assert server.process.wait(20) == 0


def refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionError:
        return True
    return False


def run(*options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "serving", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90)
    return ended.returncode, (ended.stdout + ended.stderr).strip()


def test_a_taken_port_is_one_line_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option, other in (("--rest-port", "--grpc-port"), ("--grpc-port", "--rest-port")):
            used = os.times().children_user
            code, said = run("--store", str(tmp_path), option, str(port), other, "0")
            assert code == 2
            assert said.startswith(
                f"serving: cannot listen on 127.0.0.1:{port}: Address already in use. Choose another port"
            )
            assert "\n" not in said
            assert os.times().children_user - used < 1.5  # CPU seconds: TensorFlow was not imported


def test_fail_fast_says_what_is_missing(tmp_path):
    code, said = run("--store", str(tmp_path), "--model", "taxi", "--rest-port", "0", "--grpc-port", "0", "--fail-fast")
    assert code == 2
    assert f"serving: --fail-fast: taxi: no release in {tmp_path}. `trainyard run taxi` makes one" in said


def test_workers_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for workers, threads in {1: 8, 2: 4, 3: 2, 16: 1}.items():
        assert parse_options(["--store", "x", "--workers", str(workers)]).tf_threads == threads
    assert parse_options(["--store", "x", "--workers", "2", "--tf-threads", "7"]).tf_threads == 7


def test_help_and_bad_options(tmp_path):
    code, said = run("--help")
    assert code == 0
    assert "curl http://127.0.0.1:8501/healthz" in said and said.startswith("usage: python -m serving ")
    assert run("--store", str(tmp_path), "--rest-port", "70000")[0] == 2
    assert run()[0] == 2
