"""What the command line says of who may ask, opened."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import pathlib

import grpc
import grpc.aio
from starlette.types import ASGIApp

import tracing
from serving.access.door import Door
from serving.access.keys import Keys
from serving.access.log import AccessLog
from serving.access.rest import RestDoor
from serving.access.rpc import RpcDoor
from serving.access.tls import tls_of
from serving.metrics import Metrics
from spec.errors import InputError

_log = logging.getLogger("serving")


class Access:
    """The door, where there is anything to do at it, and TLS.

    Args:
        shared: the folder that the processes of a server share; None: there is one process.

    Raises:
        InputError: a file of keys or certificates is not fit for use, or the access log cannot be written.

    Attributes:
        tls: None: connections are not encrypted.
    """

    def __init__(self, options: argparse.Namespace, metrics: Metrics, shared: pathlib.Path | None) -> None:
        self.tls = tls_of(options)
        keys = None if options.api_keys is None else Keys(options.api_keys, shared)
        self._access_log = None if options.access_log is None else _open_log(options.access_log, metrics)
        watched = keys is not None or self._access_log is not None or tracing.started()
        self._door = Door(metrics, keys, self._access_log) if watched else None
        _warn_of_what_is_open(options)

    def before(self, app: ASGIApp) -> ASGIApp:
        """The HTTP application as requests reach it."""
        return app if self._door is None else RestDoor(app, self._door)

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """What a call of gRPC passes."""
        return [] if self._door is None else [RpcDoor(self._door)]

    def close(self) -> None:
        if self._access_log is not None:
            self._access_log.close()


def _open_log(path: str, metrics: Metrics) -> AccessLog:
    try:
        return AccessLog(path, metrics)
    except OSError as error:
        raise InputError(f"the access log cannot be written there: {error.strerror or error}.", file=path) from None


def _warn_of_what_is_open(options: argparse.Namespace) -> None:
    if _is_this_machine(options.host):
        return
    missing = {"API keys (--api-keys)": options.api_keys or options.tls_client_ca, "TLS (--tls-cert)": options.tls_cert}
    if lacking := " and ".join(what for what, given in missing.items() if not given):
        _log.warning(
            "%s is reached from other machines, without %s: docs/guides/serving-in-public.md", options.host, lacking
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
