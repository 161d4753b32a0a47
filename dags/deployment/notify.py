"""Telling those who answer for a workload what became of a deployment."""

from __future__ import annotations

import importlib
import logging

from pipelines.workload import Workload

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_log = logging.getLogger(__name__)


def tell(workload: Workload, title: str, text: str, severity: str) -> None:
    """Into the log, and by the channels that the workload's alerts name.

    Args:
        severity: info, warning or error.
    """
    try:
        alerts = importlib.import_module("dags.alerts")
    except ModuleNotFoundError:
        _log.log(_LEVELS[severity], "%s: %s", title, text)
        return
    alerts.send(workload, title, text, alerts.Severity(severity))
