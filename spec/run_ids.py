"""The id of a run on this machine: when it began, in UTC, and four digits that tell apart two of the same second."""

from __future__ import annotations

import datetime
import re
import secrets

_RUN_ID = re.compile(r"(\d{8}T\d{6})-[0-9a-f]{4}")


def new_run_id() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S-") + secrets.token_hex(2)


def started_at(run_id: str) -> datetime.datetime | None:
    """When a run began; None for a text that is no run's id.

    Example:
        >>> started_at("20261121T060000-00aa")
        datetime.datetime(2026, 11, 21, 6, 0, tzinfo=datetime.timezone.utc)
    """
    found = _RUN_ID.fullmatch(run_id)
    return found and datetime.datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=datetime.UTC)
