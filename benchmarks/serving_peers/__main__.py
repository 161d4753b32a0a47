"""The model server beside FastAPI, KServe, LitServe and BentoML with the same SavedModel, in one run on one machine.

    python -m benchmarks.serving_peers --store .trainyard/models --model taxi --model digits

Every server is started with as many processes, and asked for one row over REST by `wrk` (apt-get install wrk), which keeps its
connections; rounds alternate between the servers, and the median of the rounds counts. LitServe and BentoML put requests together in
batches, as this server does. On the first run the peers are installed into a folder of their own. Run it in the serving environment,
on an otherwise idle machine: servers and clients share the cores.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from benchmarks.serving_latency import request_body, server
from benchmarks.serving_peers import FOLDER, THREADS
from benchmarks.serving_peers.wrk import Found, insist_on_wrk, load

_PACKAGES = (
    "tensorflow==2.21.*",
    "kserve==0.21.*",
    "litserve==0.2.*",
    "bentoml==1.4.*",
    "fastapi",
    "uvicorn[standard]",
)
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_HERE = "benchmarks.serving_peers"
_CLIENTS = (1, 8, 64, 256)
_OURS = "trainyard"


def main() -> int:
    options = _options()
    insist_on_wrk()
    python = _environment(options.environment)
    found: dict[str, dict[int, dict[str, Found]]] = {}
    for model in options.model:
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(server(options.store, [model], options.workers))
            body = request_body(ours.rest, model)
            urls = {_OURS: ours.predict(model)}
            saved_model = _saved_model(options.store, model)
            for name in options.peer:
                urls[name] = stack.enter_context(_peer(name, python, saved_model, options.workers))
            _agree(urls, body)
            found[model] = _measure(urls, body, options)
    if options.json:
        print(
            json.dumps(
                {
                    m: {c: {n: dataclasses.asdict(f) for n, f in by.items()} for c, by in o.items()}
                    for m, o in found.items()
                }
            )
        )
    return 0


def _measure(urls: dict[str, str], body: str, options: argparse.Namespace) -> dict[int, dict[str, Found]]:
    for url in urls.values():
        load(url, body, 8, 2)
    measured = {}
    for clients in options.clients:
        rounds: dict[str, list[Found]] = {name: [] for name in urls}
        for _ in range(options.rounds):
            for name, url in urls.items():
                rounds[name].append(load(url, body, clients, options.seconds))
        measured[clients] = {name: _median(them) for name, them in rounds.items()}
        _show(urls[_OURS], clients, measured[clients])
    return measured


def _show(ours: str, clients: int, by: dict[str, Found]) -> None:
    print(f"\n{ours.rpartition('/')[2]}, {clients} clients")
    print(f"{'':<12}{'requests/s':>12}{'of ours':>9}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
    for name, one in by.items():
        share = one.a_second / by[_OURS].a_second
        print(f"{name:<12}{one.a_second:>12.0f}{share:>9.2f}{one.p50:>9.2f}{one.p99:>9.2f}{one.failed:>8}", flush=True)


def _median(rounds: Sequence[Found]) -> Found:
    return Found(
        statistics.median(one.a_second for one in rounds),
        statistics.median(one.p50 for one in rounds),
        statistics.median(one.p99 for one in rounds),
        sum(one.failed for one in rounds),
    )


@contextlib.contextmanager
def _peer(name: str, python: pathlib.Path, saved_model: pathlib.Path, workers: int) -> Iterator[str]:
    port = _free_port()
    path = "/v1/models/peer:predict" if name == "kserve" else "/predict"
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    environment = {
        FOLDER: str(saved_model),
        THREADS: str(threads),
        "PEER_WORKERS": str(workers),
        "BENTOML_DO_NOT_TRACK": "1",
    }
    with _running([str(python), "-m", *_commands(port, workers)[name]], environment) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}{path}"


def _commands(port: int, workers: int) -> dict[str, list[str]]:
    p, n = str(port), str(workers)
    return {
        "fastapi": [
            "uvicorn",
            f"{_HERE}.fastapi_server:app",
            "--port",
            p,
            "--workers",
            n,
            "--log-level",
            "error",
            "--no-access-log",
        ],
        "kserve": [f"{_HERE}.kserve_server", "--http_port", p, "--workers", n],
        "litserve": [f"{_HERE}.litserve_server", p, n],
        "bentoml": ["bentoml", "serve", f"{_HERE}.bentoml_server:Peer", "--host", "127.0.0.1", "--port", p, "-q"],
    }


@contextlib.contextmanager
def _running(command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    settings = os.environ | {"PYTHONPATH": str(_ROOT)} | environment
    process = subprocess.Popen(
        command, env=settings, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _agree(urls: dict[str, str], body: str) -> None:
    """Insists that all servers give the same answer."""
    answers = {name: _answer(url, body) for name, url in urls.items()}
    ours = answers[_OURS]
    for name, answer in answers.items():
        if not _alike(answer, ours):
            raise SystemExit(f"{name} answers {answer}, and the model server {ours}")


def _answer(url: str, body: str) -> dict[str, object]:
    """The answer to one row; a server that is still loading is asked again."""
    address, _, path = url.removeprefix("http://").partition("/")
    deadline, said = time.monotonic() + 120, ""
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(address, timeout=60)
            connection.request("POST", f"/{path}", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            said = response.read().decode()
            if response.status == 200:
                document = json.loads(said)
                rows: list[dict[str, object]] = document["predictions"] if isinstance(document, dict) else document
                return rows[0]
        time.sleep(0.5)
    raise SystemExit(f"{url} does not answer: {said[:200]}")


def _alike(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-6 * max(1.0, abs(other))
    return one == other


def _saved_model(store: str, model: str) -> pathlib.Path:
    from model_store import STABLE, ModelStore

    return pathlib.Path(store, model, str(ModelStore(store).resolve(model, STABLE).version)).absolute()


def _environment(folder: pathlib.Path) -> pathlib.Path:
    python = folder / "bin" / "python"
    if not python.exists():
        uv = str(_ROOT / ".venv" / "tools" / "bin" / "uv")
        print(f"installing the peers into {folder}", file=sys.stderr)
        subprocess.run([uv, "venv", "-q", "--python", "3.11", str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *_PACKAGES], check=True)
    return python


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as kept:
        return int(kept.getsockname()[1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, help="a local model store")
    parser.add_argument("--model", action="append", required=True, help="may be repeated")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server (default %(default)s)")
    parser.add_argument("--clients", type=int, action="append", help=f"may be repeated (default {_CLIENTS})")
    parser.add_argument("--peer", action="append", help="may be repeated (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="(default %(default)s)")
    parser.add_argument("--seconds", type=int, default=4, help="of a round (default %(default)s)")
    parser.add_argument(
        "--environment",
        type=pathlib.Path,
        default=pathlib.Path(tempfile.gettempdir()) / "trainyard-serving-peers",
        help="folder that the peers are installed into (default %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON besides")
    options = parser.parse_args()
    options.clients = options.clients or list(_CLIENTS)
    options.peer = options.peer or list(_commands(0, 1))
    return options


if __name__ == "__main__":
    raise SystemExit(main())
