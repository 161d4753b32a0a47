"""Whether the model server stays as it is while it answers: memory, threads and open files of its processes over many requests, and
what the kill of a worker costs.

    python -m benchmarks.serving_peers.soak --store .trainyard/models --model taxi --requests 1000000

Asks by `wrk` (apt-get install wrk) with 64 clients, ten seconds at a time, and then kills a worker while eight clients ask. Run it in
the serving environment.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import pathlib
import sys
import threading
import time

import psutil

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from benchmarks.serving_latency import request_body, server
from benchmarks.serving_peers.wrk import insist_on_wrk, load

_CLIENTS, _PART_SECONDS = 64, 10


def main() -> int:
    options = _options()
    insist_on_wrk()
    with server(options.store, [options.model], options.workers) as running:
        body, url, process = (
            request_body(running.rest, options.model),
            running.predict(options.model),
            psutil.Process(running.pid),
        )
        load(url, body, _CLIENTS, 5)
        _soak(process, url, body, options.requests)
        if options.workers > 1:
            _kill(process, url, body)
    return 0


def _soak(server: psutil.Process, url: str, body: str, requests: int) -> None:
    print(f"{'requests':>12}{'failed':>8}{'requests/s':>12}{'MiB of each process':>34}{'threads':>9}{'files':>7}")
    asked = failed = 0
    while asked < requests:
        found = load(url, body, _CLIENTS, _PART_SECONDS)
        asked += round(found.a_second * _PART_SECONDS) + found.failed
        failed += found.failed
        processes = [server, *server.children(recursive=True)]
        memory = " ".join(f"{one.memory_info().rss / 2**20:.0f}" for one in processes)
        threads, files = sum(one.num_threads() for one in processes), sum(one.num_fds() for one in processes)
        print(f"{asked:>12,}{failed:>8}{found.a_second:>12.0f}{memory:>34}{threads:>9}{files:>7}", flush=True)


def _kill(server: psutil.Process, url: str, body: str) -> None:
    """Kills a worker while clients ask, and says what they noticed."""
    answers: list[tuple[float, bool]] = []
    stop = threading.Event()

    def ask() -> None:
        address, _, path = url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(address, timeout=30)
        while not stop.is_set():
            try:
                connection.request("POST", f"/{path}", body)
                answer = connection.getresponse()
                answer.read()
                answers.append((time.monotonic(), answer.status == 200))
            except (OSError, http.client.HTTPException):
                answers.append((time.monotonic(), False))
                connection.close()

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for one in clients:
        one.start()
    time.sleep(3)
    victim = server.children()[0]
    victim.kill()
    killed = time.monotonic()
    time.sleep(15)
    stop.set()
    for one in clients:
        one.join()
    good = [at for at, well in answers if well]
    longest = max(later - sooner for sooner, later in itertools.pairwise(sorted(good)) if later > killed - 1)
    lost = sum(not well for _, well in answers)
    workers = [one for one in server.children() if one.is_running()]
    told = {
        "lost requests": lost,
        "longest without an answer, s": round(longest, 3),
        "workers afterwards": len(workers),
    }
    print(f"a worker is killed: {json.dumps(told)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, help="a model store")
    parser.add_argument("--model", required=True)
    parser.add_argument("--requests", type=int, default=1_000_000, help="(default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="(default %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
