"""A deployment's requests say whose they are, and which trace they belong to."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace

from dags.deployment import target
from dags.deployment.target import ModelServer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """The headers that a double of the model server was sent; names in lower case."""
    headers: list[dict[str, str]] = []

    class Double(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers.append({name.lower(): value for name, value in self.headers.items()})
            said = json.dumps({"predictions": [1], "model_version_status": [{"version": "1", "state": "AVAILABLE"}]})
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.wfile.write(said.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Double)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TRAINYARD_SERVER", f"http://127.0.0.1:{server.server_port}")
    yield headers
    server.shutdown()
    server.server_close()


def test_every_request_has_the_key_and_the_trace(asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask_everything() -> list[dict[str, str]]:
        asked.clear()
        ModelServer("taxi").ask("stable", [{"fare": 1}])
        ModelServer("taxi").begin(1, None)
        target.wait_until_served("taxi", "stable", 1, 5)
        return asked

    assert not any({"x-api-key", "traceparent"} & sent.keys() for sent in ask_everything())
    monkeypatch.setenv("TRAINYARD_SERVER_KEY", "ty_ours")
    span = trace.SpanContext(0xAF7, 0xB7, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(span)):
        sent = ask_everything()
    assert len(sent) >= 4 and {one["x-api-key"] for one in sent} == {"ty_ours"}
    assert {one["traceparent"] for one in sent} == {f"00-{0xAF7:032x}-{0xB7:016x}-01"}
