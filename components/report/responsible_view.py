"""Turns what `metrics.json` says of groups and of columns into rows, sentences and a figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components.formats import count, figure, percent, plural, shorten, signed
from components.report import charts
from components.report.evaluation_view import bound_words, judged_words
from components.report.facts import RunFacts
from spec import metrics as known
from spec import tasks
from spec.words import some_of

_MOST_GROUPS, _MOST_BARS = 40, 25


@dataclasses.dataclass(frozen=True)
class GapRow:
    """One measure of a column's groups, its bounds and whether they hold."""

    title: str
    of_class: str
    value: str
    sure: str
    bound: str
    state: str
    word: str


@dataclasses.dataclass(frozen=True)
class GroupRow:
    """One group: its rates as shares for bars, and in words."""

    value: str
    rows: str
    compared: bool
    rates: tuple[tuple[float | None, str], ...]


@dataclasses.dataclass(frozen=True)
class FairnessTable:
    """The groups of a column, the largest first.

    Attributes:
        of_class: that the rates are of.
        by_class: whether gaps may be of other classes.
        hidden: groups that are not among `groups`.
    """

    column: str
    of_class: str
    by_class: bool
    min_rows: int
    gaps: tuple[GapRow, ...]
    groups: tuple[GroupRow, ...]
    hidden: int

    @property
    def small(self) -> int:
        """Groups that are not compared."""
        return sum(not one.compared for one in self.groups)


def fairness_tables(facts: RunFacts) -> tuple[FairnessTable, ...]:
    """A table for each column of `evaluation.fairness`."""
    found = (facts.metrics or {}).get("fairness") or ()
    several = len((facts.metrics or {}).get("classes") or ()) > 2
    return tuple(_table(one, several) for one in found)


def _table(one: Mapping[str, Any], several: bool) -> FairnessTable:
    groups = tuple(
        GroupRow(
            shorten(group["value"], 48),
            count(group["rows"]),
            group["compared"],
            tuple(
                (group[rate], percent(group[rate]))
                for rate in ("selection_rate", "true_positive_rate", "false_positive_rate")
            ),
        )
        for group in one["groups"][:_MOST_GROUPS]
    )
    hidden = max(0, len(one["groups"]) - _MOST_GROUPS)
    gaps = tuple(map(_gap, one["gaps"]))
    return FairnessTable(one["column"], one["class"], several, one["min_rows"], gaps, groups, hidden)


def _gap(gap: Mapping[str, Any]) -> GapRow:
    state, word = judged_words(gap["bars"])
    bound = ", ".join(map(bound_words, gap["bars"]))
    return GapRow(known.find(gap["metric"]).title, gap["class"], figure(gap["value"]), gap["words"], bound, state, word)


@dataclasses.dataclass(frozen=True)
class ColumnsFigure:
    """The bar plot, and what there is to know to read it; without a chart only why there is none."""

    chart: Markup | None
    caption: str


def importance_figure(facts: RunFacts) -> ColumnsFigure | None:
    """Of the columns that the model needs; None where it was not measured."""
    found = (facts.metrics or {}).get("importance")
    if not found:
        return None
    if found["why_not"]:
        return ColumnsFigure(None, f"Not measured: {found['why_not']}.")
    columns, metric = found["columns"], facts.metric(found["metric"])
    caption = (
        f"By how much {metric.title} ({figure(found['value'])} on {count(found['rows'])} rows of test) gets worse when a column is "
        f"shuffled among the rows: the mean of {found['repeats']} times, and a line from the least to the most. What two columns both "
        "say counts for neither."
    )
    caption += _more(columns)
    if left_out := found["left_out"]:
        caption += f" Not asked, to save time: {some_of(left_out, 5)}."
    bars = [
        charts.ColumnBar(one["column"], one["drop"], one["least"], one["most"], signed(one["drop"]))
        for one in columns[:_MOST_BARS]
    ]
    first = f"; the most needed is {bars[0].column}, {figure(bars[0].value)}"
    description = f"Loss of {metric.title} when a column is shuffled, {plural(len(bars), 'column')}{first}."
    return ColumnsFigure(
        charts.column_chart("importance", f"Loss of {metric.title} by column", description, bars), caption
    )


def explanations_figure(facts: RunFacts) -> ColumnsFigure | None:
    """Of what moved the answers; None where the model does not explain them, or takes one column."""
    found = (facts.metrics or {}).get("explanations")
    if not found:
        return None
    if found["why_not"]:
        return ColumnsFigure(None, f"Not measured: {found['why_not']}.")
    columns = found["columns"]
    task = tasks.find(str((facts.metrics or {})["task"]))
    unit = "the log-odds of the class that was called" if task.label_kind.is_one_class else "the answer"
    caption = (
        f"How far each column moved {unit} from that of an ordinary row of train, either way: the mean over "
        f"{count(found['rows'])} rows of test, and a line over the middle half of them, as the model's signature explain says. "
        f"Unaccounted for: {percent(found['residual'])}."
    )
    bars = [
        charts.ColumnBar(one["column"], one["size"], one["quarters"][0], one["quarters"][1], figure(one["size"]))
        for one in columns[:_MOST_BARS]
    ]
    first = f"; the most did {bars[0].column}, {bars[0].words}"
    description = f"Mean size of what a column did, {plural(len(bars), 'column')}{first}."
    chart = charts.column_chart("explanations", "What moved the answers, by column", description, bars)
    return ColumnsFigure(chart, caption + _more(columns))


def _more(columns: Sequence[Any]) -> str:
    more = columns[_MOST_BARS:]
    return f" {plural(len(more), 'column')} below these are in metrics.json." if more else ""
