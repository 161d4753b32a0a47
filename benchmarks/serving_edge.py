"""What lies before a model server costs: the same request by several ways, in turns, over connections that are kept.

    TRAINYARD_SERVER_KEY=ty_... python benchmarks/serving_edge.py --model taxi --ca server.pem \\
      server=http://127.0.0.1:8501 edge=https://127.0.0.1:8443

The first is what the others are compared with, over HTTP. Let them lead to one server: the more a server is asked, the
quicker it answers, and a second one of its own would have fewer requests. In turns, so that what else the machine does falls on all
alike; the request is one row, built from the model's metadata.
"""

from __future__ import annotations

import argparse
import http.client
import ssl
import statistics
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from benchmarks.serving_latency import key_header, request_body


def main() -> int:
    options = _options()
    ways = dict(way.split("=", 1) for way in options.ways)
    body = request_body(urlsplit(next(iter(ways.values()))).netloc, options.model)
    asks = {name: _caller(url, options.model, body, options.ca) for name, url in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(options.warm_up + options.requests):
        names = list(asks)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:  # nobody is always first
            started = time.perf_counter()
            asks[name]()
            if turn >= options.warm_up:
                seconds[name].append(time.perf_counter() - started)
    first = statistics.median(seconds[next(iter(ways))])
    print(f"{'way':<12} {'p50':>9} {'p99':>9} {'p50 more than the first':>24}")
    for name, values in seconds.items():
        p50, p99 = statistics.median(values), statistics.quantiles(values, n=100)[98]
        print(f"{name:<12} {p50 * 1000:>6.2f} ms {p99 * 1000:>6.2f} ms {(p50 - first) * 1000:>21.2f} ms")
    return 0


def _caller(url: str, model: str, body: str, authority: str | None) -> Callable[[], None]:
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=authority)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(parts.netloc, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc)
    headers = key_header()

    def ask() -> None:
        connection.request("POST", f"/v1/models/{model}:predict", body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            sys.exit(f"{url}: HTTP {response.status}: {answer.decode()}")

    return ask


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="+", metavar="NAME=URL", help="where to ask: a server, or a gateway before it")
    parser.add_argument("--model", required=True)
    parser.add_argument("--ca", metavar="PEM", help="the authority of the gateway's certificate")
    parser.add_argument("--requests", type=int, default=2000, help="for each way (default %(default)s)")
    parser.add_argument("--warm-up", type=int, default=100, help="that are not counted (default %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
