"""Skips that say why."""

from __future__ import annotations

import logging

from airflow.sdk.exceptions import AirflowSkipException

log = logging.getLogger(__name__)


def skipped(reason: str) -> AirflowSkipException:
    """The exception to raise for a skip. Airflow keeps its message out of the task's log, so it is logged here."""
    log.info("Skipped: %s", reason)
    return AirflowSkipException(reason)
