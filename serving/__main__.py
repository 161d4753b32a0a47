"""`python -m serving`: opens the ports first, then loads TensorFlow, then the models."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Sequence

from serving._options import parse_options
from serving._tensorflow import set_up_tensorflow
from serving._waiting import Starting
from serving.access.tls import tls_of
from serving.http.connections import QuickHandshakes
from spec import exit_codes
from spec.api_keys import read_keys
from spec.errors import InputError

_log = logging.getLogger("serving")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server until SIGTERM or Ctrl-C; returns the exit code."""
    options = parse_options(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    # Report what is wrong with the options at once, not after the seconds that importing TensorFlow takes.
    try:
        _insist_on_files(options)
        rest = _listen(options.host, options.rest_port)
        if options.grpc_port:
            _listen(options.host, options.grpc_port).close()
    except (InputError, OSError) as error:
        return _refuse(str(error))
    starting = Starting()
    try:
        return _serve(options, sys.argv[1:] if arguments is None else arguments, rest, starting.end)
    finally:
        starting.end()


def _serve(
    options: argparse.Namespace, arguments: Sequence[str], listener: socket.socket, ready: Callable[[], None]
) -> int:
    from model_store import StoreError
    from serving._announcing import CannotServeError

    try:
        if options.workers > 1:
            from serving._supervisor import supervise

            _log.info("starting %d workers", options.workers)
            asyncio.run(supervise(options, arguments, listener, ready))
        else:
            _log.info("loading TensorFlow, then the models")
            set_up_tensorflow(options)

            from serving._server import Alone, serve

            with asyncio.Runner(loop_factory=lambda: QuickHandshakes(options.silence_seconds)) as runner:
                runner.run(serve(options, listener, Alone(options, ready)))
    except (CannotServeError, InputError, StoreError) as error:
        return _refuse(str(error))
    return exit_codes.OK


def _refuse(message: str) -> int:
    print(f"serving: {message}", file=sys.stderr)
    return exit_codes.FIX_INPUT


def _insist_on_files(options: argparse.Namespace) -> None:
    tls_of(options)
    if options.api_keys is not None:
        read_keys(options.api_keys)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio only sets TCP_NODELAY if the protocol is named; without it, each answer waits 40 ms for the client's ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise OSError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Choose another port; 0 takes any free one."
        ) from None
    return listener


if __name__ == "__main__":
    sys.exit(main())
