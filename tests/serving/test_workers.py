"""Several processes that serve as one."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import grpc
import psutil
import pytest
import tensorflow as tf
from conftest import Server, wait_for
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

ROW = {"fare": 1.0, "miles": 1.0, "area": 3, "company": "A", "hour": 7}
BODY = {"instances": [ROW]}


@pytest.fixture
def running(start, publish, exports) -> Server:
    publish("taxi", exports["taxi_0"])
    return start("--workers", "2").wait_until_ready()


def workers(server: Server) -> list[psutil.Process]:
    return [one for one in psutil.Process(server.process.pid).children() if "serving._worker" in one.cmdline()]


def counted(server: Server, **labels: str) -> float:
    lines = [
        line for line in server.get("/metrics")[1].splitlines() if line.startswith("trainyard_serving_requests_total")
    ]
    return sum(
        float(line.rsplit(" ")[-1]) for line in lines if all(f'{name}="{one}"' in line for name, one in labels.items())
    )


class Asking:
    """Clients that keep their connections, as long as the server lets them, and note what they are answered."""

    def __init__(self, server: Server, clients: int) -> None:
        self.codes: Counter[int] = Counter()
        self.answers: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self.server = server
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]
        for one in self._threads:
            one.start()

    def end(self) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.rest, timeout=20)

    def _ask(self) -> None:
        connection = self._connection()
        while not self._stop.is_set():
            try:
                connection.request("POST", "/v1/models/taxi:predict", json.dumps(BODY))
                answer = connection.getresponse()
                said = json.loads(answer.read())
                self.codes[answer.status] += 1
                if answer.will_close:
                    connection = self._connection()
                if answer.status == 200:
                    self.answers.append((time.monotonic(), said["predictions"][0]["probability"]))
            except (OSError, http.client.HTTPException):
                self.codes[0] += 1
                connection = self._connection()
                time.sleep(0.05)
        connection.close()


@contextlib.contextmanager
def asking(server: Server, clients: int = 8) -> Iterator[Asking]:
    asked = Asking(server, clients)
    try:
        yield asked
    finally:
        asked.end()


def test_the_supervisor_counts_where_the_workers_do() -> None:
    asked = "import sys, serving._supervisor; sys.exit('prometheus_client' in sys.modules)"
    # prometheus_client chooses as it is imported whether it counts for all, by a variable that is not set yet.
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_workers_answer_at_the_same_ports_and_are_counted_as_one(running: Server) -> None:
    first, second = workers(running)
    for _ in range(40):  # a connection each
        assert running.post("taxi:predict", BODY)[0] == 200
    assert counted(running, protocol="rest", code="OK") == 40
    for _ in range(20):
        with grpc.insecure_channel(f"127.0.0.1:{running.grpc}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "taxi"
            for name, value in ROW.items():
                kind = tf.int64 if isinstance(value, int) else None
                request.inputs[name].CopyFrom(tf.make_tensor_proto([value], dtype=kind))
            prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)
    assert counted(running, protocol="grpc", code="OK") == 20
    wait_for(lambda: 'trainyard_serving_loaded_version{label="stable",model="taxi"} 1.0' in running.get("/metrics")[1])
    for stopped in (first, second):
        stopped.suspend()
        try:
            assert all(running.post("taxi:predict", BODY)[0] == 200 for _ in range(5)), "the other one answers"
        finally:
            stopped.resume()
    assert running.get("/healthz")[1] == {"status": "ready", "models": {"taxi": {"stable": 1}}}


def test_a_label_moves_for_all_workers_at_once(running: Server, publish, store, exports) -> None:
    with asking(running) as asked:
        wait_for(lambda: len(asked.answers) > 20)
        publish("taxi", exports["taxi_3"])
        wait_for(lambda: 'loaded_version{label="stable",model="taxi"} 2.0' in running.get("/metrics")[1])
        wait_for(lambda: len({answer for _, answer in asked.answers[-40:]}) == 1)
    assert set(asked.codes) == {200}
    old = asked.answers[0][1]
    last_old = max(at for at, answer in asked.answers if answer == old)
    first_new = min(at for at, answer in asked.answers if answer != old)
    assert last_old - first_new < 2
    refusals = [line for line in running.log().splitlines() if "refused" in line]
    assert not refusals


def test_a_killed_worker_is_replaced_and_takes_its_own_requests_alone(running: Server) -> None:
    victim = workers(running)[0]
    with asking(running, clients=8) as asked:
        wait_for(lambda: len(asked.answers) > 20)
        before = counted(running, code="OK")
        victim.kill()
        wait_for(lambda: "worker 1 ended with -9; it is started again" in running.log())
        wait_for(lambda: len(workers(running)) == 2 and victim not in workers(running))
        wait_for(lambda: running.log().count("worker 1: taxi: in service") == 2)
    assert set(asked.codes) <= {0, 200}
    assert asked.codes[0] <= 8, "each client has at most one request there"
    waited = max(later - sooner for (sooner, _), (later, _) in zip(asked.answers, asked.answers[1:], strict=False))
    assert waited < 10, "the other worker answered meanwhile"
    assert counted(running, code="OK") >= before, "what was counted stays counted"


def test_sigterm_under_load_fails_no_request(start, publish, exports) -> None:
    publish("taxi", exports["taxi_0"])
    server = start("--workers", "2", "--lame-duck-seconds", "1").wait_until_ready()
    other = start("--workers", "2").wait_until_ready()
    with asking(server) as asked:
        wait_for(lambda: len(asked.answers) > 20)
        server.process.terminate()
        wait_for(lambda: server.get("/healthz")[0] == 503)
        asked.server = other  # as whoever chooses among servers does; connections end with their answers
        assert server.process.wait(30) == 0
        many = len(asked.answers)
        wait_for(lambda: len(asked.answers) > many + 20)
    assert set(asked.codes) == {200}


def test_a_supervisor_that_is_killed_leaves_nobody(running: Server) -> None:
    left = workers(running)
    os.kill(running.process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(left, timeout=30)
    assert not alive


def test_what_is_wrong_is_said_once_and_the_rest_is_served(start, publish, store, exports) -> None:
    publish("house", exports["house"])
    publish("taxi", exports["taxi_0"])
    server = start("--workers", "2").wait_until_ready()
    publish("taxi", exports["taxi_1"], None)
    flipped = pathlib.Path(store.uri, "taxi", "2", "saved_model.pb")
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"?")
    store.set_label("taxi", "stable", 2, reason="r", actor="a")
    # Of one answer: each worker speaks for itself, and another may not have tried yet.
    health = wait_for(lambda: (found := server.get("/healthz")[1])["status"] == "degraded" and found)
    assert "saved_model.pb was changed after publishing" in health["damaged"]["taxi"]
    assert server.post("taxi:predict", BODY)[0] == 200, "the version of before stays"
    pathlib.Path(store.uri, "house", "labels.json").write_text("[]")
    wait_for(lambda: "labels.json is damaged" in str(server.get("/healthz")[1].get("damaged", {}).get("house")))
    assert server.post("house:predict", {"instances": [2.0]})[0] == 200


def test_fail_fast_and_a_taken_grpc_port(start, publish, exports, tmp_path) -> None:
    refused = start("--workers", "2", "--model", "taxi", "--fail-fast")
    assert refused.process.wait(60) == 2
    assert "serving: --fail-fast: taxi: no release in" in refused.log()
    publish("taxi", exports["taxi_0"])
    server = start("--workers", "2").wait_until_ready()
    taken = start("--workers", "2", "--grpc-port", str(server.grpc))
    assert taken.process.wait(60) == 2
    assert "Address already in use" in taken.log()
