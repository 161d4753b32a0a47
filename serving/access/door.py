"""Where every request enters, REST as gRPC: its key is asked for, and its span and its line in the access log are made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import tracing
from serving.access.keys import Keys
from serving.access.log import AccessLog
from serving.errors import LimitedError, ServingError
from serving.inference import exchange as exchanges
from serving.inference.exchange import Exchange
from serving.inference.request_ids import HEADER, request_id
from serving.metrics import Metrics

# What says whether the server is up: a platform's probes have no key, and tell nothing that an access log is kept for.
_PROBES = frozenset(
    {
        "/healthz",
        "/livez",
        "/v2/health/live",
        "/v2/health/ready",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
    }
)
# The page to try models on says nothing of them; what it asks needs the key that a person gives it.
_PAGE = frozenset({"/docs", "/docs/page.css", "/docs/page.js"})
_MOST_NAME_CHARACTERS = 256


class Door:
    """Lets requests in.

    Args:
        keys: who may ask; None: everybody.
        log: None: nothing is written.
    """

    def __init__(self, metrics: Metrics, keys: Keys | None = None, log: AccessLog | None = None) -> None:
        self._rejected = metrics.rejected
        self._keys = keys
        self._log = log

    def admit(self, path: str, headers: Mapping[str, str]) -> str:
        """The name of the key that a request carries; empty where none is asked for.

        Args:
            headers: of HTTP, or gRPC's metadata; names in lower case.

        Raises:
            UnauthenticatedError: it carries no key, or one that is not known.
            LimitedError: the key's limit is used up for the moment.
        """
        if self._keys is None or path in _PROBES or path in _PAGE:
            return ""
        try:
            return self._keys.admit(headers.get("authorization"), headers.get("x-api-key"))
        except ServingError as error:
            self._rejected.labels("over its limit" if isinstance(error, LimitedError) else "no key").inc()
            raise

    @contextlib.contextmanager
    def passing(self, protocol: str, path: str, headers: Mapping[str, str]) -> Iterator[Exchange]:
        """What is known of a request while it is answered; the body sets its code."""
        came = headers.get(tracing.HEADER, "")
        exchange = Exchange(protocol, path, request_id(headers.get(HEADER)), tracing.trace_id(came))
        token = exchanges.begin(exchange)
        try:
            with tracing.server_span(path[:_MOST_NAME_CHARACTERS], came) as span:
                exchange.trace_id = span.trace_id or exchange.trace_id
                try:
                    yield exchange
                finally:
                    exchange.end()
                    span.tell(_attributes(exchange), failed=_is_our_fault(exchange.code))
        finally:
            exchanges.end(token)
            if self._log is not None and path not in _PROBES:
                self._log.offer(exchange)


def _is_our_fault(code: int | str) -> bool:
    return code >= 500 if isinstance(code, int) else code in ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS")


def _attributes(exchange: Exchange) -> dict[str, str | int]:
    """OpenTelemetry's names where it has some."""
    code = "http.response.status_code" if exchange.protocol == "rest" else "rpc.response.status_code"
    told: dict[str, str | int] = {
        "trainyard.request_id": exchange.request_id,
        "trainyard.model": exchange.model,
        "trainyard.version": exchange.version,
        "trainyard.label": exchange.label,
        "trainyard.method": exchange.method,
        "trainyard.key": exchange.key,
        "trainyard.rows": exchange.rows,
        code: exchange.code,
    }
    return {name: value for name, value in told.items() if value != ""}
