"""Trainyard's own commands, each in a process of its own, for benchmarks that compare whole runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def run(workload: str, until: str | None = None, parameters: Sequence[str] = ()) -> dict[str, Any]:
    """What `trainyard run --json` says of a run.

    Args:
        until: the node to stop after; None: the last.
        parameters: KEY=VALUE, as of `--param`.
    """
    last = ["--until", until] if until else []
    said = trainyard("run", workload, "--json", *last, *(f"--param={one}" for one in parameters))
    result: dict[str, Any] = json.loads(said)
    return result


def trainyard(*arguments: str) -> str:
    """What a command prints; one that fails ends the benchmark."""
    ended = subprocess.run([sys.executable, "-m", "cli.main", *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-1000:]}")
    return ended.stdout
