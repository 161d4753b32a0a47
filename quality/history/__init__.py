"""What was found in which data, and when: a small SQL store that pages, digests and other tools read."""

from quality.history._headline import worst
from quality.history._records import (
    LIVE,
    LIVE_GATE,
    OF_MODELS,
    SERVING,
    Change,
    Check,
    Column,
    Outcome,
    Release,
    Validation,
)
from quality.history._store import History, HistoryError, is_there

__all__ = [
    "LIVE",
    "LIVE_GATE",
    "OF_MODELS",
    "SERVING",
    "Change",
    "Check",
    "Column",
    "History",
    "HistoryError",
    "Outcome",
    "Release",
    "Validation",
    "is_there",
    "worst",
]
