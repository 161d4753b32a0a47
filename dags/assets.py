"""The assets that tie the DAGs together; every asset name is made here."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from dags.triggers import FileTrigger, SpanTrigger
from landing import has_spans
from spec import home
from spec.workload import Workload

GROUP = "trainyard"
LOCAL_POLL_SECONDS, REMOTE_POLL_SECONDS = 2.0, 60.0
"""Polling intervals; on an object store each poll is a few requests that cost money."""


def new_data(workload: Workload) -> Asset:
    """The workload's data: an event for every span that lands or is replaced. Data without spans is not watched."""
    uri, watchers = span_pattern(workload), []
    if has_spans(uri):
        quiet, window = workload.schedule.quiet_seconds, workload.data.window
        trigger = SpanTrigger(uri, quiet, _poll_seconds(uri), window=window)
        watchers = [AssetWatcher(name=f"{workload.name}_spans", trigger=trigger)]
    return Asset(name=f"{workload.name}_data", uri=f"trainyard://data/{workload.name}", group=GROUP, watchers=watchers)


def released_model(workload: Workload) -> Asset:
    """The workload's releases: an event for every release; its `extra` has the version, metrics and report paths."""
    return Asset(name=f"{workload.name}_released_model", uri=f"trainyard://model/{workload.name}", group=GROUP)


def deployed_model(workload: Workload) -> Asset:
    """What is live: an event for every release that a deployment has made stable."""
    return Asset(name=f"{workload.name}_deployed_model", uri=f"trainyard://deployed/{workload.name}", group=GROUP)


def quality_report(workload: Workload) -> Asset:
    """What the daily check of the data found: an event for every span that was checked; its `extra` has the gates."""
    return Asset(name=f"{workload.name}_quality_report", uri=f"trainyard://quality/{workload.name}", group=GROUP)


def new_files(workload: Workload) -> Asset:
    """The files to predict for: an event when the inbox has changed and settled."""
    uri = batch_pattern(workload)
    trigger = FileTrigger(uri, workload.schedule.quiet_seconds, _poll_seconds(uri))
    watchers = [AssetWatcher(name=f"{workload.name}_files", trigger=trigger)]
    return Asset(
        name=f"{workload.name}_files", uri=f"trainyard://files/{workload.name}", group=GROUP, watchers=watchers
    )


def predictions(workload: Workload) -> Asset:
    """The workload's batch predictions: an event for every run that wrote some."""
    return Asset(name=f"{workload.name}_predictions", uri=f"trainyard://predictions/{workload.name}", group=GROUP)


def span_pattern(workload: Workload) -> str:
    """`data.uri` with everything but the span filled in."""
    return workload.span_uri("{SPAN}", home.data_uri())


def batch_pattern(workload: Workload) -> str:
    """`batch.uri` with everything filled in."""
    return filled_in(workload.batch.uri or "", workload)


def filled_in(uri: str, workload: Workload) -> str:
    """A URI of workload.yaml with the landing folder and the workload's name."""
    return uri.replace("{DATA}", home.data_uri()).replace("{WORKLOAD}", workload.name)


def _poll_seconds(uri: str) -> float:
    return REMOTE_POLL_SECONDS if "://" in uri and not uri.startswith("file://") else LOCAL_POLL_SECONDS
