"""How long a prediction for one row takes: measures a model server over REST and gRPC.

Uses a running server, or starts one on a store and stops it afterwards:

    python benchmarks/serving_latency.py --store .trainyard/models
    python benchmarks/serving_latency.py --rest 127.0.0.1:8501 --grpc 127.0.0.1:8500 --model taxi

Any server with TF Serving's API can be measured. Requests are built from the model's metadata. Run it in the serving environment,
on an otherwise idle machine: client and server share the cores.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from spec import environment as env

Ask = Callable[[], None]


def main() -> int:
    options = _options()
    with _asked(options) as (rest, rpc):
        models = options.model or sorted(_get(rest, "/healthz")["models"])
        if not models:
            print(
                "serving_latency: the server serves no model. Promote a release first, or name a --model.",
                file=sys.stderr,
            )
            return 2
        results = [
            {
                "model": model,
                "protocol": protocol,
                **_measure([make(address, model) for _ in range(options.clients)], options),
            }
            for model in models
            for protocol, address, make in (("REST", rest, rest_caller), ("gRPC", rpc, grpc_caller))
            if address
        ]
    _report(results, options)
    over = [r for r in results if options.budget_ms and r["p50_ms"] > options.budget_ms]
    return 1 if over else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--store", help="start a server on this model store")
    where.add_argument("--rest", metavar="HOST:PORT", help="ask a running server")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="gRPC address of the running server (default: REST only)")
    parser.add_argument("--model", action="append", help="may be repeated (default: all loaded models)")
    parser.add_argument("--requests", type=int, default=500, help="requests per client (default %(default)s)")
    parser.add_argument("--clients", type=int, default=1, help="clients asking at once (default %(default)s)")
    parser.add_argument("--budget-ms", type=float, help="exit with 1 if a median exceeds this")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


@contextmanager
def _asked(options: argparse.Namespace) -> Iterator[tuple[str, str | None]]:
    if options.rest:
        yield options.rest, options.grpc
        return
    with server(options.store, options.model or ()) as running:
        yield running.rest, running.grpc


class Running(NamedTuple):
    """A server: its addresses, and the id of its process."""

    rest: str
    grpc: str
    pid: int

    def predict(self, model: str) -> str:
        """Where a model is asked for predictions."""
        return f"http://{self.rest}/v1/models/{model}:predict"


@contextmanager
def server(store: str, models: Sequence[str], workers: int | None = None) -> Iterator[Running]:
    """A server on a store, that stops in the end.

    Args:
        models: to serve; none: all that have a label.
        workers: its processes; None: as many as it chooses.
    """
    with tempfile.TemporaryDirectory() as folder:
        ready = pathlib.Path(folder) / "ready.json"
        command = [sys.executable, "-m", "serving", "--store", store, "--fail-fast", "--ready-file", str(ready)]
        command += [part for model in models for part in ("--model", model)]
        command += ["--workers", str(workers)] if workers else []
        process = subprocess.Popen([*command, "--rest-port", "0", "--grpc-port", "0"], stderr=subprocess.DEVNULL)
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise SystemExit(f"the server ended with {process.returncode}; run it by hand: {' '.join(command)}")
                time.sleep(0.1)
            ports = json.loads(ready.read_text())
            yield Running(f"127.0.0.1:{ports['rest']}", f"127.0.0.1:{ports['grpc']}", process.pid)
        finally:
            process.terminate()
            process.wait()


def rest_caller(address: str, model: str) -> Ask:
    """A connection that asks for one row, in row format."""
    connection = http.client.HTTPConnection(address)
    body = request_body(address, model)

    def ask() -> None:
        connection.request("POST", f"/v1/models/{model}:predict", body)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"{model}: HTTP {response.status}: {answer.decode()}")

    return ask


def key_header() -> dict[str, str]:
    """For a server that asks for an API key: TRAINYARD_SERVER_KEY."""
    key = os.environ.get(env.SERVER_KEY)
    return {"X-API-Key": key} if key else {}


def request_body(address: str, model: str) -> str:
    """A request for one made-up row, in row format."""
    row = {name: _value(info) for name, info in _inputs(address, model).items()}
    return json.dumps({"instances": [row]})


def grpc_caller(address: str, model: str) -> Ask:
    """A channel that asks for one row, with the official client."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address))
    question = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    question.model_spec.name = model
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(question).metadata["signature_def"].Unpack(signatures)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    for name, info in signatures.signature_def["serving_default"].inputs.items():
        shape = [1 if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
        value = tf.zeros(shape, info.dtype) if info.dtype != tf.string else tf.fill(shape, "a")
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))

    def ask() -> None:
        stub.Predict(request, timeout=30)

    return ask


def _inputs(address: str, model: str) -> dict[str, Any]:
    metadata = _get(address, f"/v1/models/{model}/metadata")["metadata"]["signature_def"]["signature_def"]
    inputs: dict[str, Any] = metadata["serving_default"]["inputs"]
    return inputs


def _value(info: dict[str, Any]) -> Any:
    """A plausible value for one row of an input."""
    value: Any = {"DT_STRING": "a", "DT_BOOL": True}.get(info["dtype"], 1)
    if info["dtype"] == "DT_STRING" and not info["tensor_shape"]["dim"]:
        return {"b64": base64.b64encode(b"a").decode()}
    for dim in reversed(info["tensor_shape"]["dim"][1:]):
        value = [value] * max(1, int(dim["size"]))
    return value


def _get(address: str, path: str) -> Any:
    connection = http.client.HTTPConnection(address)
    connection.request("GET", path, headers=key_header())
    return json.loads(connection.getresponse().read())


def _measure(asks: list[Ask], options: argparse.Namespace) -> dict[str, float]:
    """Times every request of every client; the clients run at once, each with its own connection."""
    times: list[float] = []

    def client(ask: Ask) -> None:
        mine = []
        for _ in range(options.requests):
            started = time.perf_counter()
            ask()
            mine.append(time.perf_counter() - started)
        times.extend(mine)

    for ask in asks:
        for _ in range(20):
            ask()
    started = time.perf_counter()
    with ThreadPoolExecutor(len(asks)) as pool:
        list(pool.map(client, asks))
    seconds = time.perf_counter() - started
    cuts = statistics.quantiles(times, n=100)
    shown = {"p50_ms": cuts[49], "p90_ms": cuts[89], "p99_ms": cuts[98], "max_ms": max(times)}
    figures = {name: round(value * 1e3, 2) for name, value in shown.items()}
    return figures | {"per_second": round(len(times) / seconds, 1)}


def _report(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"cpus": os.cpu_count(), "clients": options.clients, "results": results}))
        return
    print(f"one row a request, {options.clients} client(s), {options.requests} requests each, {os.cpu_count()} cores")
    print(f"{'model':<16}{'protocol':<10}{'p50 ms':>8}{'p90 ms':>8}{'p99 ms':>8}{'max ms':>8}{'per s':>9}")
    for r in results:
        figures = "".join(f"{r[name]:>8.2f}" for name in ("p50_ms", "p90_ms", "p99_ms", "max_ms"))
        print(f"{r['model']:<16}{r['protocol']:<10}{figures}{r['per_second']:>9.1f}")


if __name__ == "__main__":
    sys.exit(main())
