"""The verdict in one sentence: what people read first on a page, in a message or in a list."""

from __future__ import annotations

from collections.abc import Sequence

from quality.history._records import Check, Outcome
from spec.words import one_line, some_of

_NUMBERS = {1: "one check", 2: "two checks", 3: "three checks"}


def headline(outcome: Outcome, checks: Sequence[Check], error: str = "") -> str:
    """One sentence: whether the data can be trusted, and the worst of what was found.

    Args:
        error: what stopped the validation before it could judge.
    """
    if error:
        return f"Not judged: {_clause(error)}."
    decisive = {Outcome.FAILED: "critical", Outcome.WARNED: "warning"}.get(outcome, "")
    told = [check for check in checks if not check.passes and not check.waiver and check.severity == decisive]
    told = [check for check in told if check.judged] or told
    waived = sum(bool(check.waiver) and not check.passes for check in checks)
    unjudged = sum(not check.judged and check not in told for check in checks)
    rest = f" {waived} failed under a waiver." if waived else ""
    rest += f" {unjudged} {'was' if unjudged == 1 else 'were'} not judged." if unjudged else ""
    if outcome is Outcome.PASSED:
        hold = sum(check.passes for check in checks)
        return f"It can be trusted: {'all ' if hold == len(checks) else ''}{hold} checks hold.{rest}"
    advice = "Do not train on it" if outcome is Outcome.FAILED else "It can be trained on, but look at it"
    word = "failed" if outcome is Outcome.FAILED else "warned"
    word = word if all(check.judged for check in told) else "could not be judged"
    many = _NUMBERS.get(len(told), f"{len(told)} checks")
    columns = list(dict.fromkeys(check.column for check in told if check.column))
    where = f", in {some_of(columns)}" if columns else ""
    return f"{advice}: {many} of {len(checks)} {word}{where}.{rest}"


def worst(checks: Sequence[Check], most: int = 3) -> list[Check]:
    """The gravest checks that do not pass; failed ones before those not judged, waived ones last."""
    order = {"critical": 0, "warning": 1, "info": 2}
    objects = [check for check in checks if not check.passes]
    rank = sorted(objects, key=lambda check: (bool(check.waiver), order.get(check.severity, 3), not check.judged))
    return rank[:most]


def _clause(text: str) -> str:
    line = one_line(text).rstrip(".")
    return line if len(line) <= 300 else f"{line[:299]}…"
