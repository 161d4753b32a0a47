"""Spans, if OpenTelemetry is configured."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tracing._traceparent import HEADER, VARIABLE

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"
_log = logging.getLogger(__name__)
_tracer: Any = None  # OpenTelemetry's, once `start` has found it configured
Attribute = str | int | float | bool


class Span:
    """A span under way; one that is sent nowhere has no trace.

    Attributes:
        trace_id: 32 hexadecimal digits, or empty.
    """

    def __init__(self, inner: Any = None) -> None:
        self._inner = inner
        self.trace_id = "" if inner is None else f"{inner.get_span_context().trace_id:032x}"

    def tell(self, attributes: Mapping[str, Attribute], failed: bool = False) -> None:
        """Adds what is known by now."""
        if self._inner is None:
            return
        self._inner.set_attributes(attributes)
        if failed:
            from opentelemetry.trace import StatusCode

            self._inner.set_status(StatusCode.ERROR)


_NOWHERE = Span()


def start(service: str) -> bool:
    """Begins to send this process's spans, if a collector is named; those left are sent at exit.

    Args:
        service: what this process is called where OTEL_SERVICE_NAME does not say.

    Returns:
        Whether spans are sent.
    """
    global _tracer
    if _tracer is not None:
        return True
    if not _first(_ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if (asked := _first(_PROTOCOLS) or _HTTP) != _HTTP:
        _log.warning(
            "no traces are sent: %s is what Trainyard speaks (OTEL_EXPORTER_OTLP_PROTOCOL). Received: %s", _HTTP, asked
        )
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource.create() if os.environ.get("OTEL_SERVICE_NAME") else Resource.create({SERVICE_NAME: service})
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("trainyard")
    return True


def started() -> bool:
    """Whether this process's spans are sent."""
    return _tracer is not None


@contextlib.contextmanager
def span(name: str, **attributes: Attribute) -> Iterator[Span]:
    """A span below the current one; the process's first is below the one that TRACEPARENT names."""
    if _tracer is None:
        yield _NOWHERE
        return
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context().is_valid
    above = None if current else _context(os.environ.get(VARIABLE, ""))
    with _tracer.start_as_current_span(name, context=above, attributes=attributes) as inner:
        yield Span(inner)


@contextlib.contextmanager
def server_span(name: str, traceparent: str) -> Iterator[Span]:
    """A span of a request that came in, below its caller's."""
    if _tracer is None:
        yield _NOWHERE
        return
    from opentelemetry.trace import SpanKind

    with _tracer.start_as_current_span(name, context=_context(traceparent), kind=SpanKind.SERVER) as inner:
        yield Span(inner)


def carried() -> dict[str, str]:
    """The current span as a header, `{"traceparent": ...}`, for who is asked or started; empty where there is none.

    Another's span counts too, such as Airflow's of the task that runs.
    """
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {HEADER: carrier[HEADER]} if HEADER in carrier else {}


def _context(traceparent: str) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({HEADER: traceparent}, Context())


def _first(variables: tuple[str, ...]) -> str:
    return next((found for name in variables if (found := os.environ.get(name))), "")
