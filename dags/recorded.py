"""Whether there is anything to look at of a model in use."""

from __future__ import annotations

import os
from pathlib import Path

from spec import environment as env
from spec import home


def nothing_recorded(workload: str) -> str:
    """Why there is nothing to look at, in words; empty if there is."""
    from model_store import ModelStore

    folder = os.environ.get(env.RECORD)
    if not folder:
        return f"no record of requests is kept ({env.RECORD})"
    if "stable" not in ModelStore(home.store_uri()).labels(workload):
        return "no release is stable"
    return "" if any((Path(folder) / workload).glob("*.jsonl")) else f"{folder} has no requests of it"


def has_labels(workload: str) -> bool:
    """Whether labels of requests have ever been taken in, and are still kept."""
    return any(Path(os.environ[env.RECORD], workload, "labels").glob("*.parquet"))
