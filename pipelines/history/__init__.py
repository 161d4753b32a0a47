"""What was found in which data, and when: a small SQL store that pages, digests and other tools read."""

from pipelines.history._headline import worst
from pipelines.history._records import SERVING, Change, Check, Column, Outcome, Release, Validation
from pipelines.history._store import URL, History, HistoryError, default_url

__all__ = [
    "SERVING",
    "URL",
    "Change",
    "Check",
    "Column",
    "History",
    "HistoryError",
    "Outcome",
    "Release",
    "Validation",
    "default_url",
    "worst",
]
