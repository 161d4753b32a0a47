"""Which of two classes is the positive one, whose probability is predicted, where nobody says."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

# A class that names itself the positive one, and what the other is called then; in any case.
_NAMES = {
    "1": ("0", "-1"),
    "1.0": ("0.0", "-1.0"),
    "true": ("false",),
    "t": ("f",),
    "yes": ("no",),
    "y": ("n",),
    "positive": ("negative",),
    "pos": ("neg",),
    "on": ("off",),
}
# Of the rows: near a half, the next span could turn the two around, and with them what every answer means.
CLEARLY_RARE = 1 / 3


@dataclasses.dataclass(frozen=True)
class Positive:
    """The positive class, and why it is."""

    name: str
    reason: str


def by_name(classes: Sequence[str]) -> Positive | None:
    """Of two classes the one that is positive by its name: yes of yes and no, 1 of 0 and 1, fraud of `fraud` and `not fraud`."""
    for one, other in (classes, classes[::-1]):
        plain, against = one.strip().lower(), other.strip().lower()
        if against in _NAMES.get(plain, ()) or against in _negations(plain):
            return Positive(one, f"of {other} and {one}, {one} is the positive one by name")
    return None


def by_share(classes: Sequence[str], rows: Sequence[int], most: float = CLEARLY_RARE) -> Positive:
    """Of two classes the rarer one, if it has at most so large a share of the rows; else the last."""
    share = [count / max(1, sum(rows)) for count in rows]
    rare = 0 if share[0] < share[1] else 1
    if share[rare] <= most and share[rare] != share[1 - rare]:
        return Positive(classes[rare], f"the rarer one, {rows[rare]:,} of {sum(rows):,} rows")
    return Positive(classes[1], "the last in order")


def _negations(name: str) -> tuple[str, ...]:
    return tuple(f"{word}{gap}{name}" for word in ("not", "non", "no") for gap in (" ", "_", "-"))
