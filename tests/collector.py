"""A test double of an OpenTelemetry collector: it takes OTLP over HTTP, as one does, and keeps the spans."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.server
import threading
from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclasses.dataclass(frozen=True)
class Sent:
    """A span that arrived."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    failed: bool
    attributes: dict[str, Any]


class CollectorDouble:
    """Where spans arrive.

    Attributes:
        url: for OTEL_EXPORTER_OTLP_ENDPOINT.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._spans: list[Sent] = []

    def spans(self, name: str = "") -> list[Sent]:
        return [one for one in self._spans if name in ("", one.name)]

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            service = _values(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                self._spans += [_sent(service, one) for one in scope.spans]


@contextlib.contextmanager
def collector() -> Iterator[CollectorDouble]:
    """A collector that listens while the body runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("Content-Length")
            body = self.rfile.read(int(length)) if length else b"".join(self._chunks())
            packed = self.headers.get("Content-Encoding") == "gzip"
            double.take(ExportTraceServiceRequest.FromString(gzip.decompress(body) if packed else body))
            said = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double = CollectorDouble(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()


def _sent(service: str, span: Any) -> Sent:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return Sent(service, span.name, *ids, span.kind, span.status.code == 2, _values(span.attributes))


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
