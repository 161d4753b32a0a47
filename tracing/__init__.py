"""Spans of what Trainyard does, sent to an OpenTelemetry collector where OTEL_EXPORTER_OTLP_ENDPOINT names one.

OpenTelemetry's own variables configure it, and W3C's `traceparent` joins the spans of several processes: a header over HTTP,
metadata over gRPC, the variable TRACEPARENT to a process that is started. Where nothing is configured, nothing of OpenTelemetry is
imported and a span costs nothing.

Example:
    >>> with span("answering", model="taxi") as one:
    ...     one.trace_id  # nothing is configured
    ''
"""

from tracing._spans import Span, carried, server_span, span, start, started
from tracing._traceparent import HEADER, VARIABLE, trace_id

__all__ = ["HEADER", "VARIABLE", "Span", "carried", "server_span", "span", "start", "started", "trace_id"]
