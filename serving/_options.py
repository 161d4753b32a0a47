"""The command line of the server."""

from __future__ import annotations

import argparse
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence

from serving._machine import most_workers
from serving.images.urls import is_prefix
from serving.models.lane import LaneOptions
from spec import environment as env
from spec.machine import usable_machine

_DESCRIPTION = """\
Serves the releases of a model store over TF Serving's REST and gRPC, and the Open Inference Protocol (KServe, Triton). /docs
is a page to try models on.

The server follows labels: it loads the version that `stable` (and `canary`, if set) points at, and switches without a
failed request when a label moves. Every file is first checked against its published digest; a release that was changed is
refused, and the previous version stays in service.
"""

_EPILOG = """\
ask it:
  curl http://127.0.0.1:8501/healthz
  curl http://127.0.0.1:8501/v1/models/taxi
  curl http://127.0.0.1:8501/v1/models/taxi/metadata
  curl -d '{"instances": [{"pixels": [0, 0, 5, ...]}]}' http://127.0.0.1:8501/v1/models/digits:predict
  curl -d '{"instances": [...]}' http://127.0.0.1:8501/v1/models/digits/labels/canary:predict
  curl http://127.0.0.1:8501/metrics

exit codes: 0 stopped by SIGTERM or Ctrl-C after the last answer; 2 something to correct (a port is taken, an option is
invalid, or with --fail-fast a model cannot be served); 1 anything else.
"""

MIB = 1 << 20
_LANE = LaneOptions()


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line; argparse exits with 2 if it is invalid."""
    parser = argparse.ArgumentParser(
        prog=os.environ.get(env.PROGRAM) or "python -m serving",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_served(parser)
    _add_addresses(parser.add_argument_group("addresses"))
    _add_speed(parser.add_argument_group("workers and batches (docs/guides/serving.md)"))
    _add_bounds(parser.add_argument_group("bounds of requests"))
    _add_end(parser.add_argument_group("the end"))
    _add_record(parser.add_argument_group("a record of requests"))
    _add_access(parser)
    options = parser.parse_args(arguments)
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key belong together; one of them is missing.")
    if options.tls_client_ca and not options.tls_cert:
        parser.error("--tls-client-ca asks clients for certificates within TLS: name --tls-cert and --tls-key too.")
    if options.tf_threads is None:
        options.tf_threads = max(1, usable_machine()[0] // options.workers)
    return options


def _add_served(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--store",
        required=True,
        metavar="URI",
        help="the model store: a folder, or a URL such as s3://bucket/models; `trainyard serve` knows its own",
    )
    add(
        "--model",
        action="append",
        metavar="NAME",
        help="serve this model; may be repeated, and `trainyard serve taxi` says the same (default: every model with a label)",
    )
    add(
        "--cache",
        type=pathlib.Path,
        default=pathlib.Path(tempfile.gettempdir()) / f"trainyard-releases-{os.getuid()}",
        metavar="DIR",
        help="folder of this user alone (mode 700), on a local disk, for verified copies of what is served (default %(default)s)",
    )
    add(
        "--poll-seconds",
        type=_positive,
        default=1.0,
        metavar="S",
        help="how often to read the labels (default %(default)s)",
    )
    add(
        "--fail-fast",
        action="store_true",
        help="exit with 2 if a model cannot be served at the start (default: wait for it)",
    )


def _add_addresses(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s: this machine only)")
    add(
        "--rest-port", type=_port, default=8501, metavar="PORT", help="REST port; 0: any free one (default %(default)s)"
    )
    add(
        "--grpc-port", type=_port, default=8500, metavar="PORT", help="gRPC port; 0: any free one (default %(default)s)"
    )
    add(
        "--grpc-reflection",
        action="store_true",
        help="tell who asks which gRPC services and messages there are; grpcurl and Postman do (default: no)",
    )
    add(
        "--ready-file",
        type=pathlib.Path,
        metavar="PATH",
        help='written after the first load: {"rest": port, "grpc": port, "pid": n}',
    )


def _add_speed(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--workers",
        type=_count,
        default=most_workers(),
        metavar="N",
        help="processes that answer at the same ports (default: as many as there are cores, and memory for: %(default)s)",
    )
    add(
        "--threads",
        type=_count,
        default=_LANE.threads,
        metavar="N",
        help="threads of each model version: batches that run at once (default %(default)s)",
    )
    add(
        "--tf-threads",
        type=_count,
        metavar="N",
        help="threads TensorFlow uses within a batch (default: the cores of each worker)",
    )
    add(
        "--max-batch-size",
        type=_of_model(_count),
        action="append",
        default=[("", _LANE.max_batch_size)],
        metavar="[MODEL=]ROWS",
        help="rows of several requests that run together, of all models or of one; 1: each request on its own "
        f"(default {_LANE.max_batch_size})",
    )
    add(
        "--batch-timeout-micros",
        type=_of_model(_whole),
        action="append",
        default=[("", _LANE.batch_timeout_micros)],
        metavar="[MODEL=]US",
        help="how long a batch waits for more requests, in microseconds (default 0: it takes those that wait already)",
    )
    add(
        "--answer-cache-mb",
        type=_at_least_zero,
        default=0.0,
        metavar="MB",
        help="answers to :predict that each worker keeps for requests that come again, in MiB (default: none)",
    )


def _add_bounds(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--max-request-mb",
        type=_positive,
        default=16.0,
        metavar="MB",
        help="largest request, in MiB (default %(default)s)",
    )
    add(
        "--max-rows",
        type=_count,
        default=_LANE.max_rows,
        metavar="N",
        help="rows of a request; one with more gets 400 (default %(default)s)",
    )
    add(
        "--image-urls",
        action="append",
        type=_image_prefix,
        default=[],
        metavar="PREFIX",
        help='fetch images of requests, {"url": ...}, below this, e.g. s3://bucket/images/; may be repeated (default: none)',
    )
    add(
        "--max-in-flight",
        type=_count,
        default=_LANE.max_in_flight,
        metavar="N",
        help="requests to a model version that run or wait; more get 429 (default %(default)s)",
    )
    add(
        "--queue-seconds",
        type=_positive,
        default=_LANE.seconds,
        metavar="S",
        help="how long a request may wait for a thread of its model version before it gets 429 (default %(default)s)",
    )
    add(
        "--silence-seconds",
        type=_positive,
        default=10.0,
        metavar="S",
        help="how long a request's head may take to arrive, and its body may break off (default %(default)s)",
    )
    add(
        "--canary-seconds",
        type=_positive,
        default=10.0,
        metavar="S",
        help="how long the canary may take for a request before stable answers (default %(default)s)",
    )


def _add_end(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--lame-duck-seconds",
        type=_at_least_zero,
        default=2.0,
        metavar="S",
        help="how long SIGTERM still takes requests, while /healthz says 503, so that nobody sends more (default %(default)s)",
    )
    add(
        "--drain-seconds",
        type=_positive,
        default=20.0,
        metavar="S",
        help="how long SIGTERM waits for requests (default %(default)s)",
    )


def _add_record(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--record",
        type=pathlib.Path,
        default=os.environ.get(env.RECORD) or None,
        metavar="DIR",
        help=f"record a sample of requests and answers there, as JSON lines (default: {env.RECORD}, else nowhere)",
    )
    add(
        "--record-rate",
        type=_fraction,
        default=os.environ.get(env.RECORD_RATE) or "0.1",
        metavar="R",
        help=f"share of the requests recorded, chosen by their ids (default: {env.RECORD_RATE}, else 0.1)",
    )
    add(
        "--record-mb",
        type=_positive,
        default=64.0,
        metavar="MB",
        help="size of a model's record, in MiB; the oldest goes first (default %(default)s)",
    )
    add(
        "--record-days",
        type=_positive,
        default=7.0,
        metavar="D",
        help="older records are deleted (default %(default)s)",
    )
    add(
        "--record-exclude",
        action="append",
        default=[],
        metavar="COLUMN",
        help="never record this column; may be repeated (those that schema.pbtxt marks as personal never are)",
    )


def _add_access(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("opening the server to others (docs/guides/serving-in-public.md)")
    group.add_argument(
        "--api-keys",
        type=pathlib.Path,
        default=os.environ.get(env.API_KEYS) or None,
        metavar="FILE",
        help="answer only who sends one of these keys, /healthz and /livez apart; `trainyard keys create` makes them "
        f"(default: {env.API_KEYS}, else everybody may ask)",
    )
    group.add_argument(
        "--tls-cert", type=pathlib.Path, metavar="PEM", help="speak TLS, REST as gRPC, with this certificate"
    )
    group.add_argument("--tls-key", type=pathlib.Path, metavar="PEM", help="its private key, of mode 600")
    group.add_argument(
        "--tls-client-ca",
        type=pathlib.Path,
        metavar="PEM",
        help="answer only clients with a certificate of this authority (mutual TLS)",
    )
    group.add_argument(
        "--access-log",
        metavar="PATH",
        help="write a line of JSON a request there, without what was asked or answered; - is standard output (default: none)",
    )


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"a port lies between 0 and 65535. Received: {text}")
    return number


def _image_prefix(text: str) -> str:
    if not is_prefix(text):
        raise argparse.ArgumentTypeError(
            f"expected s3://bucket/ or https://host/, with whole folders after it and a / at the end. Received: {text}"
        )
    return text


def _fraction(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1. Received: {text}")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"must be above 0. Received: {text}")
    return number


def _at_least_zero(text: str) -> float:
    return _positive(text) if float(text) else 0.0


def _whole(text: str) -> int:
    return _count(text) if int(text) else 0


def _of_model(number: Callable[[str], int]) -> Callable[[str], tuple[str, int]]:
    def parse(text: str) -> tuple[str, int]:
        model, _, value = text.rpartition("=")
        return model, number(value)

    return parse


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {text}")
    return number
