"""The verdict in one sentence: what a person reads first, in a page, a message or a list."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.history._records import Check, Outcome

_NUMBERS = {1: "One check", 2: "Two checks", 3: "Three checks"}


def headline(outcome: Outcome, checks: Sequence[Check], error: str = "") -> str:
    """One sentence: whether the data can be trusted, and the worst of what was found.

    Args:
        outcome: of the validation.
        checks: all of them.
        error: what stopped the validation before it could judge.
    """
    if error:
        return f"Not judged: {_clause(error)}."
    failed = [check for check in checks if not check.passes and not check.waiver]
    critical = [check for check in failed if check.severity == "critical"]
    warned = [check for check in failed if check.severity == "warning"]
    waived = sum(bool(check.waiver) and not check.passes for check in checks)
    forgiven = f" {waived} failed under a waiver." if waived else ""
    if outcome is Outcome.FAILED:
        return f"Do not train on it: {_many(critical)} of {len(checks)} failed{_worst(critical)}.{forgiven}"
    if outcome is Outcome.WARNED:
        return (
            f"It can be trained on, but look at it: {_many(warned)} of {len(checks)} warned{_worst(warned)}.{forgiven}"
        )
    return f"It can be trusted: {'all ' if not waived else ''}{len(checks) - waived} checks hold.{forgiven}"


def worst(checks: Sequence[Check], most: int = 3) -> list[Check]:
    """The failed checks that matter most, gravest first; waived ones last."""
    order = {"critical": 0, "warning": 1, "info": 2}
    failed = [check for check in checks if not check.passes]
    return sorted(failed, key=lambda check: (bool(check.waiver), order.get(check.severity, 3)))[:most]


def _many(failed: Sequence[Check]) -> str:
    return _NUMBERS.get(len(failed), f"{len(failed)} checks").lower()


def _worst(failed: Sequence[Check]) -> str:
    columns = list(dict.fromkeys(check.column for check in failed if check.column))
    if not columns:
        return ""
    more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
    return f", in {', '.join(columns[:3])}{more}"


def _clause(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= 300 else f"{line[:299]}…"
