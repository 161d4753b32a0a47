"""Exits with 0 if the API server has recently heard from a component; `airflow jobs check` takes seconds of CPU time per call.

Usage: python airflow_health.py scheduler|dag_processor|triggerer
"""

from __future__ import annotations

import json
import sys
import urllib.request

_URL = "http://airflow-api:8080/api/v2/monitor/health"


def main(part: str) -> int:
    """Prints the API server's answer; returns the exit code."""
    try:
        with urllib.request.urlopen(_URL, timeout=10) as reply:
            state = json.load(reply)[part]["status"]
    except (OSError, ValueError, KeyError) as error:
        print(f"{_URL}: {error}")
        return 1
    print(f"{part}: {state}")
    return 0 if state == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
