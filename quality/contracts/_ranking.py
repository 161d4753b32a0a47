"""Of very many expectations the most useful: nobody reads thousands, and each of them costs time in every run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

MOST = 250
# Rules by what they find that nothing else does; a rule that is not named here comes before all of them.
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
    """At most so many, in their order: those of the whole table and the label's first, then one kind after the other."""
    places = sorted(range(len(drafted)), key=lambda place: (_rank(drafted[place]), place))
    return [drafted[place] for place in sorted(places[:most])]


def _rank(expectation: dict[str, Any]) -> int:
    rule = re.match(r"[\w.]+", expectation["meta"]["rule"])
    return _RANKS.get(rule[0], 0) if rule else 0
