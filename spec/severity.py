"""How much it matters that a check does not pass."""

from __future__ import annotations

import enum


class Severity(enum.StrEnum):
    """How much it matters that a check does not pass: because it failed, or because it could not be judged."""

    CRITICAL = "critical"  # stops the run
    WARNING = "warning"  # marks the run
    INFO = "info"  # is recorded
