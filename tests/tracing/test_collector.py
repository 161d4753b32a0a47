"""Spans arrive at OpenTelemetry's own collector, not only at the double of one."""

from __future__ import annotations

import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

from tests.servers import free_port, wait_for_port

SOURCE = pathlib.Path(__file__).with_name("otelcol")
VERSION = "v0.165.0"
PARTS = ("otelcol", "receiver/otlpreceiver", "exporter/debugexporter")
TRACE = "0af7651916cd43dd8448eb211c80319c"
CONFIG = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{debug: {{verbosity: detailed}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}
"""


@pytest.fixture(scope="module")
def program() -> pathlib.Path:
    """The collector, built by Go once a machine."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"trainyard-tests-{os.getuid()}" / f"otelcol-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / "otelcol"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several test processes one builds
        if not built.exists():
            if not shutil.which("go"):
                pytest.skip("needs Go, which builds the collector")
            shutil.copy(SOURCE / "main.go", folder)
            for command in (
                ["go", "mod", "init", "otelcol"],
                ["go", "get", *(f"go.opentelemetry.io/collector/{part}@{VERSION}" for part in PARTS)],
                ["go", "mod", "tidy"],
                ["go", "build", "-o", str(built), "."],
            ):
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
                if done.returncode and "already exists" not in done.stderr:
                    pytest.skip(f"{' '.join(command[:3])}: {done.stderr.strip()[-200:]}")
    return built


@pytest.mark.slow
def test_the_collector_takes_a_span_with_its_parent(program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        collector = subprocess.Popen([program, "--config", f"yaml:{CONFIG.format(port=port)}"], stderr=log, stdout=log)
    try:
        wait_for_port(port, collector)
        given = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01",
        }
        code = "import tracing; tracing.start('work'); exec('with tracing.span(\"outer\", rows=3): pass')"
        subprocess.run([sys.executable, "-c", code], env=os.environ | given, check=True)
        deadline = time.monotonic() + 20
        while "outer" not in (said := (tmp_path / "log").read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        collector.terminate()
        collector.wait(10)
    found = dict(re.findall(r"(Trace ID|Parent ID|Name|service\.name)\s*: (?:Str\()?([\w.]+)", said))
    assert found == {"Trace ID": TRACE, "Parent ID": "b7ad6b7169203331", "Name": "outer", "service.name": "work"}
    assert "rows: Int(3)" in said
