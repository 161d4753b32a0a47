"""What a server says when it has begun: to its log, and to whoever started it."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Collection, Mapping

import storage

_log = logging.getLogger("serving")


class CannotServeError(Exception):
    """The server cannot start with these options; the message says what to change."""


def insist_ready(options: argparse.Namespace, served: Collection[str], why_not: Mapping[str, str]) -> None:
    """Raises CannotServeError with --fail-fast, where a model is not served.

    Args:
        served: the models that are served or asked for.
        why_not: why one of them is not, by model.
    """
    if not options.fail_fast:
        return
    if not served:
        raise CannotServeError(f"--fail-fast: no model in {options.store} has a label.")
    if why_not:
        raise CannotServeError(f"--fail-fast: {'; '.join(f'{name}: {why}' for name, why in why_not.items())}")


def announce(options: argparse.Namespace, rest_port: int, grpc_port: int, why_not: Mapping[str, str]) -> None:
    """Says where the server is, in the log and in --ready-file."""
    state = f"waiting for {', '.join(why_not)}" if why_not else "ready"
    http = "https" if options.tls_cert else "http"
    _log.info(
        "%s: REST %s://%s:%d/v1/models, gRPC %s:%d", state, http, options.host, rest_port, options.host, grpc_port
    )
    if options.ready_file:
        told = json.dumps({"rest": rest_port, "grpc": grpc_port, "pid": os.getpid()})
        storage.write(str(options.ready_file.absolute()), f"{told}\n".encode())
