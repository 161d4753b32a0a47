"""Spans of several processes, joined by `traceparent`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.collector import collector
from tracing import trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )


WORK = """
import sys, tracing
print(tracing.start("work"))
with tracing.span("outer", rows=3) as outer:
    with tracing.span("inner") as inner:
        inner.tell({"cached": True}, failed=True)
    print(tracing.carried().get("traceparent", ""))
print(any(name.partition(".")[0] == "opentelemetry" for name in sys.modules))
"""


def test_where_no_collector_is_named_nothing_of_opentelemetry_is_imported():
    assert run(WORK, TRACEPARENT=PARENT).stdout.split("\n")[:3] == ["False", "", "False"]
    assert run(WORK, OTEL_SDK_DISABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1").stdout.startswith(
        "False"
    )


def test_spans_go_below_the_trace_that_the_process_was_given():
    with collector() as double:
        done = run(WORK, TRACEPARENT=PARENT, OTEL_EXPORTER_OTLP_ENDPOINT=double.url)
    (outer,), (inner,) = double.spans("outer"), double.spans("inner")
    assert done.stdout.split("\n")[0] == "True"
    assert (outer.service, outer.trace_id, outer.parent_id) == ("work", TRACE, "b7ad6b7169203331")
    assert outer.attributes == {"rows": 3} and not outer.failed
    assert (inner.trace_id, inner.parent_id) == (TRACE, outer.span_id)
    assert inner.attributes == {"cached": True} and inner.failed
    assert done.stdout.split("\n")[1].startswith(f"00-{TRACE}-{outer.span_id}-")


def test_a_name_and_a_sampler_are_opentelemetrys_to_choose():
    with collector() as double:
        run(WORK, OTEL_EXPORTER_OTLP_ENDPOINT=double.url, OTEL_SERVICE_NAME="mine")
        run(WORK, OTEL_EXPORTER_OTLP_ENDPOINT=double.url, OTEL_TRACES_SAMPLER="always_off")
    assert [one.service for one in double.spans()] == ["mine", "mine"]


def test_a_protocol_that_is_not_spoken_is_said():
    done = run(WORK, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert done.stdout.startswith("False") and "Received: grpc" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    ["", "x", f"ff-{TRACE}-b7ad6b7169203331-01", f"00-{'0' * 32}-b7ad6b7169203331-01", PARENT.upper(), PARENT[:-1]],
)
def test_what_is_no_traceparent_has_no_id(wrong):
    assert trace_id(PARENT) == TRACE and trace_id(wrong) == ""
