"""Suites from contracts and data, and checks outside of a run: `trainyard quality draft | diff | check`."""

from quality.contracts._checking import Checked, check
from quality.contracts._drafting import draft, draft_all, merge_into, suite_text, write_suite
from quality.contracts._merging import Change, differences, merge
from quality.contracts._ranking import most_useful
from quality.contracts._sources import Source, columns_for, read, read_folders

__all__ = [
    "Change",
    "Checked",
    "Source",
    "check",
    "columns_for",
    "differences",
    "draft",
    "draft_all",
    "merge",
    "merge_into",
    "most_useful",
    "read",
    "read_folders",
    "suite_text",
    "write_suite",
]
