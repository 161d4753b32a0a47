"""Suites from contracts and data, and checks outside of a run: `trainyard quality draft | diff | check`."""

from typing import Any

_DRAFTING = ("draft", "draft_all", "most_useful", "suite_text")

__all__ = ["draft", "draft_all", "merge", "most_useful", "suite_text"]


def __getattr__(name: str) -> Any:
    # The command line imports this package for every command; Arrow is for those that draft.
    if name in _DRAFTING:
        from quality.contracts import _drafting

        return getattr(_drafting, name)
    if name == "merge":
        from quality.contracts._merging import merge

        return merge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
