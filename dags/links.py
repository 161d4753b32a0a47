"""Where a run's pages can be opened: links on tasks and in asset events."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from spec import environment as env
from spec import home

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

RUN, DATA_QUALITY = "run", "data_quality_page"
"""The names of reports in the output of `trainyard run --json`."""


def page_url(path: str) -> str | None:
    """The address of a page of this machine; None where no server shows it."""
    base = os.environ.get(env.REPORTS_URL, "").rstrip("/")
    for folder, prefix in ((home.home() / "reports", ""), (home.home() / "runs", "runs/")):
        if base and Path(path).is_relative_to(folder):
            return f"{base}/{prefix}{Path(path).relative_to(folder).as_posix()}"
    return None


def report_links(reports: Mapping[str, str | None]) -> dict[str, str]:
    """Reports as URLs if a server shows them, else as paths; each place only once, under its first name."""
    places = {name: page_url(path) or path for name, path in reports.items() if path}
    return {name: place for at, (name, place) in enumerate(places.items()) if place not in list(places.values())[:at]}


def pages_of(reports: Mapping[str, str | None]) -> dict[str, str]:
    """The URLs of a run's pages, for the links on its task; empty if no server shows them."""
    return {name: url for name, path in reports.items() if path and (url := page_url(path))}


class _PageLink(BaseOperatorLink):
    _page: str

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        # Called once, in the task's process when it has ended; Airflow stores the answer.
        return str(getattr(operator, "pages", {}).get(self._page, ""))


class ReportLink(_PageLink):
    """Opens the report of the pipeline's run: figures, gates, lineage."""

    name = "Report"
    _page = RUN


class DataQualityLink(_PageLink):
    """Opens the page of the span's data: the verdict, the findings with their rows, what changed."""

    name = "Data quality"
    _page = DATA_QUALITY
