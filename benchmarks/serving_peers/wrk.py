"""Load from `wrk`, which asks over connections that it keeps."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil
import subprocess
import tempfile


@dataclasses.dataclass(frozen=True)
class Found:
    """What one round measured.

    Attributes:
        a_second: requests answered with 200.
        p50: milliseconds.
        p99: milliseconds.
        failed: requests that were not.
    """

    a_second: float
    p50: float
    p99: float
    failed: int


def insist_on_wrk() -> None:
    """Ends the process with a line where `wrk` is not installed."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed. apt-get install wrk")


def load(url: str, body: str, clients: int, seconds: int) -> Found:
    """What `wrk` finds with so many connections in so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        script, said = pathlib.Path(folder, "ask.lua"), pathlib.Path(folder, "body")
        said.write_text(body)
        script.write_text(
            f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f'local file = io.open("{said}")\nwrk.body = file:read("*a")\nfile:close()\n'
        )
        command = [
            "wrk",
            "-t1",
            f"-c{clients}",
            f"-d{seconds}s",
            "--timeout",
            "30s",
            "--latency",
            "-s",
            str(script),
            url,
        ]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    failed = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", told)))
    failed += sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", told))
    requests = float(re.findall(r"Requests/sec:\s+([\d.]+)", told)[0])
    return Found(requests - failed / seconds, _milliseconds(told, "50%"), _milliseconds(told, "99%"), failed)


def _milliseconds(told: str, share: str) -> float:
    ((value, unit),) = re.findall(rf"^\s+{share}\s+([\d.]+)(us|ms|s)", told, re.MULTILINE)
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
