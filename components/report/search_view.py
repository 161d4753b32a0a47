"""A search for hyper-parameters, as the page shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from components.formats import count, duration, figure, plural
from components.report import charts
from components.report.facts import RunFacts
from components.searched import best_first, value_in_words, values_in_words

_SLICES = 8  # more would be a page of their own


@dataclasses.dataclass(frozen=True)
class SearchView:
    """What the section lays out.

    Attributes:
        sentence: what was tried, and what won.
        cost: what it took.
        importance: of each hyper-parameter, 0 to 1, in words and as a number.
        slices: a chart for each hyper-parameter, by name.
        rows: the trials, the best first.
    """

    sentence: str
    cost: str
    history: Markup
    parallel: Markup
    importance: tuple[tuple[str, str, float], ...]
    slices: tuple[tuple[str, Markup], ...]
    names: tuple[str, ...]
    rows: tuple[TrialRow, ...]


@dataclasses.dataclass(frozen=True)
class TrialRow:
    number: str
    value: str
    epochs: str
    values: tuple[str, ...]
    word: str
    wins: bool


def search_view(facts: RunFacts) -> SearchView | None:
    """None where nothing was searched."""
    found = facts.search
    if not found:
        return None
    winner, trials, metric = found["trial"], found["trials"], facts.metric(found["metric"])
    axes = {name: charts.Axis(name, dimension) for name, dimension in found["space"].items()}
    ranked = [name for name in found["importance"] if name in axes]
    ranked += [name for name in axes if name not in ranked]
    drawn = [axes[name] for name in ranked[:_SLICES]]
    return SearchView(
        search_sentence(facts),
        _cost(found),
        charts.history_chart("search-history", metric.title, trials, winner, found["lower_is_better"]),
        charts.parallel_chart("search-parallel", metric.title, drawn, trials, winner),
        tuple((name, f"{share:.0%}", share) for name, share in found["importance"].items()),
        tuple(
            (axis.name, charts.slice_chart(f"search-slice-{i}", metric.title, axis, trials, winner))
            for i, axis in enumerate(drawn)
        ),
        tuple(ranked),
        _rows(found, ranked),
    )


def search_sentence(facts: RunFacts) -> str:
    """What was tried, and what won."""
    found = facts.search or {}
    return (
        f"The best of {plural(len(found['trials']), 'trial')} has {facts.metric(found['metric']).title} "
        f"{figure(found['value'])} on {count(found['rows']['eval'])} held-out rows of train: {values_in_words(found['values'])}."
    )


def _cost(found: Mapping[str, Any]) -> str:
    epochs, counts = found["epochs"], found["counts"]
    ended = ", ".join(f"{many} {word}" for word, many in counts.items() if many)
    return (
        f"{count(epochs['spent'])} epochs of the {count(epochs['full'])} that all trials in full would take "
        f"({ended}; pruner {found['pruner']}, sampler {found['sampler']}), in {duration(found['seconds'])}."
    )


def _rows(found: Mapping[str, Any], names: list[str]) -> tuple[TrialRow, ...]:
    order = best_first(found["trials"], found["lower_is_better"])
    order += [one for one in found["trials"] if one["value"] is None]
    return tuple(
        TrialRow(
            str(one["number"]),
            figure(one["value"]),
            count(one["epochs"]),
            tuple(value_in_words(one["values"].get(name, "")) for name in names),
            f"{one['state']}: {one['reason']}" if one.get("reason") else one["state"],
            one["number"] == found["trial"],
        )
        for one in order
    )
