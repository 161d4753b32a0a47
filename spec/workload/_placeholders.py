"""What may stand in a URI of workload.yaml for the landing folder and the workload's name."""

from __future__ import annotations

import re


def known_placeholders(uri: str) -> str:
    """A URI whose placeholders are {DATA} and {WORKLOAD} at most."""
    if unknown := sorted(set(re.findall(r"\{(\w+)\}", uri)) - {"DATA", "WORKLOAD"}):
        raise ValueError(f"unknown placeholder {{{unknown[0]}}}; use {{DATA}} or {{WORKLOAD}}")
    return uri
