"""`python -m serving`: opens the ports first, then loads TensorFlow, then the models."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence

from serving._options import parse_options
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
    _log.info("loading TensorFlow, then the models")
    starting = Starting()
    try:
        _set_up_tensorflow(options)

        from model_store import StoreError
        from serving._server import CannotServeError, serve

        try:
            with asyncio.Runner(loop_factory=lambda: QuickHandshakes(options.silence_seconds)) as runner:
                runner.run(serve(options, rest, starting.end))
        except (CannotServeError, InputError, StoreError) as error:
            return _refuse(str(error))
    finally:
        starting.end()
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


def _set_up_tensorflow(options: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _stderr_kept_back():
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(options.tf_threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.tf_threads)
        tf.config.list_logical_devices()
    logging.getLogger("absl").setLevel(logging.ERROR)
    # A version that is loading holds Python's lock for long periods: let waiting requests in sooner.
    sys.setswitchinterval(0.001)


@contextlib.contextmanager
def _stderr_kept_back() -> Iterator[None]:
    """Hides what TensorFlow's libraries print while they load, which no option does, unless they fail."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except BaseException:
            noise.seek(0)
            os.write(kept, noise.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
