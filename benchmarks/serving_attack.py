"""What clients that never finish a request cost the others: p50, p99 and refusals of honest clients, before and during each attack.

Starts a server on a model store, asks it, attacks it, and asks again:

    python benchmarks/serving_attack.py --store .trainyard/models --model taxi

Run it in the serving environment, on an otherwise idle machine: all share the cores.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import pathlib
import resource
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks.serving_latency import request_body, server

_CLIENTS, _SECONDS = 8, 8.0


def main() -> int:
    options = _options()
    with server(options.store, [options.model]) as running:
        rest = running.rest
        head = f"POST /v1/models/{options.model}:predict HTTP/1.1\r\nHost: x\r\n".encode()
        attacks: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
            "none": contextlib.nullcontext,
            "128 bodies that never come": lambda: _silent(rest, 128, head + b"Content-Length: 100\r\n\r\n"),
            f"{options.halves:,} half heads": lambda: _silent(rest, options.halves, head),
            "one endless head": lambda: _endless(rest, head),
        }
        body = request_body(rest, options.model)
        _ask(rest, options.model, body)
        print(f"{'attack':<30}{'answered 200':>14}{'p50 ms':>9}{'p99 ms':>9}{'requests':>10}")
        for name, attack in attacks.items():
            with attack():
                codes, milliseconds = _ask(rest, options.model, body)
            cuts = statistics.quantiles(milliseconds, n=100)
            share = codes.count(200) / len(codes)
            print(f"{name:<30}{share:>14.2%}{cuts[49]:>9.2f}{cuts[98]:>9.2f}{len(codes):>10,}", flush=True)
    return 0


def _ask(rest: str, model: str, body: str) -> tuple[list[int], list[float]]:
    """What several clients are answered, and how quickly."""
    end = time.monotonic() + _SECONDS

    def client(_: int) -> tuple[list[int], list[float]]:
        codes: list[int] = []
        took: list[float] = []
        connection = http.client.HTTPConnection(rest, timeout=30)
        while time.monotonic() < end:
            started = time.perf_counter()
            try:
                connection.request("POST", f"/v1/models/{model}:predict", body)
                answer = connection.getresponse()
                answer.read()
                codes.append(answer.status)
            except (OSError, http.client.HTTPException):
                codes.append(0)
                connection.close()
            took.append(1000 * (time.perf_counter() - started))
        return codes, took

    with ThreadPoolExecutor(_CLIENTS) as clients:
        found = list(clients.map(client, range(_CLIENTS)))
    return [code for codes, _ in found for code in codes], [one for _, took in found for one in took]


@contextlib.contextmanager
def _silent(rest: str, count: int, sent: bytes) -> Iterator[None]:
    """Connections that send something and then nothing."""
    host, _, port = rest.partition(":")
    stop = threading.Event()
    opened: list[socket.socket] = []

    def open_all() -> None:
        while len(opened) < count and not stop.is_set():
            with contextlib.suppress(OSError):
                opened.append(socket.create_connection((host, int(port)), timeout=5))
                opened[-1].sendall(sent)

    thread = threading.Thread(target=open_all)
    thread.start()
    time.sleep(1.0)
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for one in opened:
            one.close()


@contextlib.contextmanager
def _endless(rest: str, head: bytes) -> Iterator[None]:
    """A client whose head never ends; it begins anew when it is cut off."""
    host, _, port = rest.partition(":")
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(head)
                while not stop.is_set():
                    connection.sendall(b"x-more: " + b"a" * 4096 + b"\r\n")
                    time.sleep(0.001)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, help="the model store to serve")
    parser.add_argument("--model", required=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    parser.add_argument("--halves", type=int, default=min(10_000, most - 200), help="half heads (default %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
