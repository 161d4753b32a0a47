"""Compressed variants beside the model that they were made of, as the page shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.formats import count, figure, percent, plural, signed
from components.report.facts import RunFacts


@dataclasses.dataclass(frozen=True)
class VariantRow:
    """The model itself, or a variant.

    Attributes:
        figures: in the order of the heads, each with what it is against the model and its limit, in words.
    """

    name: str
    method: str
    figures: tuple[tuple[str, str], ...]
    state: str
    word: str


@dataclasses.dataclass(frozen=True)
class VariantsView:
    """What the section lays out.

    Attributes:
        heads: of the figures.
    """

    heads: tuple[str, ...]
    rows: tuple[VariantRow, ...]


def variants_view(facts: RunFacts) -> VariantsView | None:
    """None where there are none."""
    found = (facts.metrics or {}).get("variants")
    if not found:
        return None
    sizes = tuple(found["original"]["milliseconds"])
    rows = (
        _row({**found["original"], "name": "the model", "method": ""}, sizes),
        *(_row(one, sizes) for one in found["variants"]),
    )
    requests = (plural(int(one), "row") for one in sizes)
    return VariantsView((facts.metric(found["metric"]).title, "Bytes", "Compressed", *requests), rows)


def _row(one: Mapping[str, Any], sizes: tuple[str, ...]) -> VariantRow:
    figures = [figure(one["value"]), count(one["bytes"]), count(one["compressed_bytes"])]
    figures += [f"{figure(one['milliseconds'][rows])} ms" for rows in sizes]
    if not one["method"]:
        return VariantRow(one["name"], "", tuple((shown, "") for shown in figures), "", "")
    limits: list[float | None] = [None] * len(sizes)
    limits[-1] = one["max_latency"]  # of the largest request
    beside = [f"{signed(one['loss'])} loss ≤ {one['max_loss']:g}", "", _share(one["size"], one["max_size"])]
    beside += [_share(one["latency"][rows], limit) for rows, limit in zip(sizes, limits, strict=True)]
    state, word = ("good", "Passed") if one["passes"] else ("bad", "Failed")
    return VariantRow(one["name"], one["method"], tuple(zip(figures, beside, strict=True)), state, word)


def _share(value: float, limit: float | None) -> str:
    """Of what the model has or takes."""
    return percent(value) if limit is None else f"{percent(value)} ≤ {percent(limit)}"
