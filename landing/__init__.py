"""Where data lands: which spans a URI pattern matches, and whether one of them is still being written.

Imports nothing heavy: Airflow's triggerer looks every few seconds, and ingestion asks the same questions.

Example:
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("span-1", "span-2", "span-2/_temporary"):
    ...     (folder / name).mkdir()
    >>> known = locations(f"{folder}/span-{{SPAN}}/*")
    >>> list(known), unfinished(known, 1), unfinished(known, 2).endswith("span-2/_temporary")
    ([1, 2], '', True)
"""

from landing._completeness import (
    SUCCESS,
    UNFINISHED_NAMES,
    content_digest,
    fingerprint,
    is_marked,
    newest_finished,
    unfinished,
    unread_folders,
)
from landing._files import glob, is_dangling, is_pattern
from landing._naming import dataset_name
from landing._patterns import MOST_SPAN_DIGITS, Location, day_of, has_spans, is_by_date, locations, refresh, span_of_day

__all__ = [
    "MOST_SPAN_DIGITS",
    "SUCCESS",
    "UNFINISHED_NAMES",
    "Location",
    "content_digest",
    "dataset_name",
    "day_of",
    "fingerprint",
    "glob",
    "has_spans",
    "is_by_date",
    "is_dangling",
    "is_marked",
    "is_pattern",
    "locations",
    "newest_finished",
    "refresh",
    "span_of_day",
    "unfinished",
    "unread_folders",
]
