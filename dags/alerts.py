"""Telling people: into the log always, by e-mail and Slack where a workload names a connection.

An alert never fails the task that sends it: a channel that does not work is one line in the log.
"""

from __future__ import annotations

import asyncio
import html
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

from spec import environment as env
from spec.words import one_line
from spec.workload import Alerts, Workload

log = logging.getLogger(__name__)


class Severity(StrEnum):
    """How much an alert matters; `alerts.level` of workload.yaml says what is sent."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_LEVELS = {Severity.INFO: logging.INFO, Severity.WARNING: logging.WARNING, Severity.ERROR: logging.ERROR}
_COLOURS = {Severity.INFO: "#2e7d32", Severity.WARNING: "#b26a00", Severity.ERROR: "#b3261e"}


@dataclass(frozen=True)
class Channels:
    """Where alerts go besides the log."""

    email: tuple[str, ...]
    email_connection: str
    slack_connection: str | None
    level: Severity

    @classmethod
    def of(cls, alerts: Alerts) -> Channels:
        addresses = alerts.email or tuple(
            filter(None, (a.strip() for a in os.environ.get(env.ALERT_EMAIL, "").split(",")))
        )
        slack = alerts.slack_connection or os.environ.get(env.ALERT_SLACK) or None
        return cls(addresses, alerts.email_connection, slack, Severity(alerts.level))

    def wants(self, severity: Severity) -> bool:
        return _LEVELS[severity] >= _LEVELS[self.level]


def send(workload: Workload | None, title: str, text: str, severity: Severity = Severity.ERROR) -> tuple[str, ...]:
    """Sends an alert to the people responsible for a workload.

    Args:
        workload: None: the site's own DAGs (housekeeping).
        title: one line.
        text: what happened and what to do, a few lines; no secrets.
        severity: an alert below `alerts.level` is only logged.

    Returns:
        The channels that accepted it: "email", "slack".
    """
    channels = Channels.of(workload.alerts if workload else Alerts())
    title = _titled(workload, title)
    log.log(_LEVELS[severity], "Alert (%s): %s\n%s", severity, title, text)
    if not channels.wants(severity):
        return ()
    return _delivered(channels, title, text, severity)


def _delivered(channels: Channels, title: str, text: str, severity: Severity) -> tuple[str, ...]:
    """The channels that accepted a message."""
    sent = []
    if channels.email and _reached("e-mail", channels.email_connection, partial(_mail, channels, title, text)):
        sent.append("email")
    if channels.slack_connection and _reached(
        "Slack", channels.slack_connection, partial(_slack, channels.slack_connection, title, text, severity)
    ):
        sent.append("slack")
    return tuple(sent)


def task_failed(workload: Workload | None) -> Callable[[Mapping[str, Any]], None]:
    """The callback for a task that has failed for good: reports which one, why, and where its log is."""
    return partial(_task_failed, workload)


def retrain_deadline(workload: Workload) -> DeadlineAlert | None:
    """The alert of `schedule.deadline_minutes`; None where no deadline is declared."""
    minutes = workload.schedule.deadline_minutes
    if minutes is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=minutes),
        callback=AsyncCallback(
            deadline_passed,
            # Stored in Airflow's database: settings, no secrets.
            kwargs={"workload": workload.name, "minutes": minutes, "alerts": workload.alerts.model_dump(mode="json")},
        ),
        name=f"{workload.name} is retrained within {minutes} minutes",
    )


async def deadline_passed(
    workload: str, minutes: int, alerts: dict[str, Any], context: Mapping[str, Any] | None = None
) -> None:
    """Runs in the triggerer when a retraining misses its deadline."""
    channels = Channels.of(Alerts.model_validate(alerts))
    run = (context or {}).get("dag_run") or {}
    run_id = run.get("dag_run_id") or run.get("run_id") if isinstance(run, Mapping) else getattr(run, "run_id", None)
    title = f"{workload}: the retraining has passed its deadline"
    text = (
        f"Run {run_id or 'unknown'} of retrain_{workload} has not ended {minutes} minutes after it was queued. It is still running.\n"
        "Look at the task that is running and the end of its log; schedule.timeout_minutes ends the run."
    )
    log.error("Alert (%s): %s\n%s", Severity.ERROR, title, text)
    await asyncio.to_thread(_delivered, channels, title, text, Severity.ERROR)


def _task_failed(workload: Workload | None, context: Mapping[str, Any]) -> None:
    ti = context["ti"]
    error = one_line(context.get("exception") or "no reason was given", 600)
    lines = [f"Run {context.get('run_id')}, try {ti.try_number}: {error}"]
    if url := getattr(ti, "log_url", None):
        lines.append(f"Log: {url}")
    if doc := getattr(context.get("task"), "doc_md", None):
        lines += ["", str(doc).strip()]
    send(workload, f"{ti.task_id} of {ti.dag_id} failed", "\n".join(lines), Severity.ERROR)


def _titled(workload: Workload | None, title: str) -> str:
    return title if workload is None or workload.name in title else f"{workload.name}: {title}"


def _reached(channel: str, connection: str, deliver: Callable[[], None]) -> bool:
    try:
        deliver()
    except Exception as error:
        _not_sent(channel, connection, error)
        return False
    return True


def _not_sent(channel: str, connection: str, error: Exception) -> None:
    # A webhook's URL is its password.
    said = re.sub(r"https?://\S+", "<url>", one_line(error))[:300]
    log.warning("No alert by %s: connection %r: %s: %s", channel, connection, type(error).__name__, said)


def _mail(channels: Channels, title: str, text: str) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    page = f"<h3>{html.escape(title)}</h3><pre>{html.escape(text)}</pre>"
    with SmtpHook(smtp_conn_id=channels.email_connection) as hook:
        hook.send_email_smtp(to=list(channels.email), subject=f"[Trainyard] {title}", html_content=page)


def _slack(connection: str, title: str, text: str, severity: Severity) -> None:
    from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

    body = {"color": _COLOURS[severity], "title": title, "text": text, "fallback": title}
    SlackWebhookHook(slack_webhook_conn_id=connection, timeout=20).send(text=title, attachments=[body])
