"""Compares the stable release's requests with its training data: `trainyard skew`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from dags.links import DATA_QUALITY, pages_of, report_links
from dags.operators import TrainyardOperator, last_json_object, read_outcome
from dags.recorded import nothing_recorded
from dags.skips import skipped
from spec import exit_codes

PERIOD = "24h"


class SkewOperator(TrainyardOperator):
    """Compares the last day's recorded requests with the training data; fails if a critical limit is exceeded."""

    def __init__(self, *, workload: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workload = workload

    def execute(self, context: Context) -> dict[str, Any]:
        if reason := nothing_recorded(self.workload):
            raise skipped(f"{self.workload}: {reason}")
        finished = self.finished(["skew", self.workload, "--since", PERIOD, "--json"])
        found = last_json_object(finished.stdout)
        if found is None or finished.returncode not in (exit_codes.OK, exit_codes.FIX_INPUT):
            return read_outcome(finished)  # raises what the command came to
        reports = {DATA_QUALITY: found.get("page")}
        self.pages = pages_of(reports)
        for check in found.get("checks") or []:
            if not check["passes"]:
                self.log.warning("- %s: %s", check["severity"], check["message"])
        for place in report_links(reports).values():
            self.log.info("The distributions, side by side: %s", place)
        if finished.returncode == exit_codes.FIX_INPUT:
            raise AirflowFailException(str(found["headline"]))
        self.log.info("%s", found["headline"])
        return {"headline": found["headline"], "outcome": found["outcome"], "reports": report_links(reports)}
