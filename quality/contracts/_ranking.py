"""Selects the most useful expectations: nobody reads thousands, and each costs time in every run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

MOST = 250
# Rules ranked by what they alone can find; a rule that is not listed comes before all of these.
_RANKS = {
    name: rank
    for rank, names in enumerate(
        (
            ("unique", "share", "classes", "coding", "unit"),
            ("values", "range", "form", "dates"),
            ("order", "equal", "together"),
            ("frequent", "median", "length"),
            ("present",),  # schema.pbtxt says the same, or is a little laxer
        ),
        start=1,
    )
    for name in names
}


def most_useful(drafted: Sequence[dict[str, Any]], most: int = MOST) -> list[dict[str, Any]]:
    """At most `most` expectations in their original order; those of the whole table and of the label are preferred."""
    places = sorted(range(len(drafted)), key=lambda place: (_rank(drafted[place]), place))
    return [drafted[place] for place in sorted(places[:most])]


def _rank(expectation: dict[str, Any]) -> int:
    rule = re.match(r"[\w.]+", expectation["meta"]["rule"])
    return _RANKS.get(rule[0], 0) if rule else 0
