"""The assets that tie the DAGs together; every asset name is made here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from airflow.sdk import Asset, AssetWatcher

from dags.triggers import SpanTrigger
from pipelines import home
from pipelines.workload import Workload

GROUP = "trainyard"
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Landing:
    """Where a workload's spans appear."""

    folder: Path
    pattern: str
    """Regular expression of a span's file or folder name; its one group is the span's number."""


def new_data(workload: Workload) -> Asset:
    """The workload's data: an event for every span that lands. Without a local landing folder nothing watches it."""
    landing = landing_of(workload)
    watchers = []
    if landing is not None:
        trigger = SpanTrigger(folder=str(landing.folder), pattern=landing.pattern, poll_seconds=POLL_SECONDS)
        watchers = [AssetWatcher(name=f"{workload.name}_spans", trigger=trigger)]
    return Asset(name=f"{workload.name}_data", uri=f"trainyard://data/{workload.name}", group=GROUP, watchers=watchers)


def released_model(workload: Workload) -> Asset:
    """The workload's releases: an event for every release, its `extra` holds version, metrics and report paths."""
    return Asset(name=f"{workload.name}_released_model", uri=f"trainyard://model/{workload.name}", group=GROUP)


def deployed_model(workload: Workload) -> Asset:
    """What is live: an event for every release that has become stable by deployment."""
    return Asset(name=f"{workload.name}_deployed_model", uri=f"trainyard://deployed/{workload.name}", group=GROUP)


def landing_of(workload: Workload) -> Landing | None:
    """The folder to watch, read off `data.uri`: the part of its path that holds `{SPAN}`, and the folder above it."""
    parts = PurePosixPath(workload.data.uri).parts
    at = next((i for i, part in enumerate(parts) if "{SPAN}" in part), None)
    if at is None or at == 0 or "://" in workload.data.uri:
        return None
    folder = "/".join(parts[:at]).replace("{DATA}", str(home.data_root())).replace("{WORKLOAD}", workload.name)
    if any(character in folder for character in "*?[") or not Path(folder).is_absolute():
        return None
    literal = re.escape(parts[at].replace("{WORKLOAD}", workload.name)).replace(r"\*", ".*")
    literal = literal.replace(re.escape("{VERSION}"), r"\d+")
    return Landing(Path(folder), literal.replace(re.escape("{SPAN}"), r"(\d+)", 1))
