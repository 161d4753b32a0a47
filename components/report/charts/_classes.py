"""One figure for each class, as a table with bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components.formats import figure
from components.report.charts._marks import bar

_ROW = Markup('<tr><th scope="row">{}</th><td class="n">{}</td><td>{}</td><td class="n">{:,}</td></tr>')


def class_table(metric: str, classes: Sequence[Mapping[str, Any]]) -> Markup:
    """Classes with a value from 0 to 1 and the rows that have them, the weakest first.

    Args:
        classes: `name`, `value` and `rows` of each.
    """
    weakest = sorted(classes, key=lambda one: (one["value"], one["name"]))
    rows = (_ROW.format(one["name"], figure(one["value"]), bar(one["value"]), one["rows"]) for one in weakest)
    head = Markup(
        '<table><thead><tr><th scope="col">Class</th><th scope="col" class="n">{}</th><th scope="col"></th>'
        '<th scope="col" class="n">Rows</th></tr></thead><tbody>'
    ).format(metric)
    return head + Markup().join(rows) + Markup("</tbody></table>")
