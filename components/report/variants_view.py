"""Compressed variants beside the model that they were made of, as the page shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.formats import count, figure, signed
from components.report.facts import RunFacts


@dataclasses.dataclass(frozen=True)
class VariantRow:
    """The model itself, or a variant.

    Attributes:
        loss: against the model; empty for the model itself.
        limits: that it must keep to, in words.
        size: bytes, and compressed ones with the share of the model's.
        times: of a request, by its rows, with the share of what the model takes.
    """

    name: str
    method: str
    value: str
    loss: str
    size: str
    compressed: str
    times: tuple[str, ...]
    limits: str
    state: str
    word: str


@dataclasses.dataclass(frozen=True)
class VariantsView:
    """What the section lays out.

    Attributes:
        metric: that models are compared by.
        sizes: of requests that were timed, in rows.
    """

    metric: str
    sizes: tuple[str, ...]
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
    return VariantsView(facts.metric(found["metric"]).title, sizes, rows)


def _row(one: Mapping[str, Any], sizes: tuple[str, ...]) -> VariantRow:
    is_variant = bool(one["method"])
    times = tuple(
        f"{figure(one['milliseconds'][rows])} ms" + (f" ({one['latency'][rows]:.0%})" if is_variant else "")
        for rows in sizes
    )
    share = f" ({one['size']:.0%})" if is_variant else ""
    state, word = ("", "") if not is_variant else ("good", "Passed") if one["passes"] else ("bad", "Failed")
    return VariantRow(
        one["name"],
        one["method"],
        figure(one["value"]),
        signed(one["loss"]) if is_variant else "",
        count(one["bytes"]),
        count(one["compressed_bytes"]) + share,
        times,
        _limits(one) if is_variant else "",
        state,
        word,
    )


def _limits(one: Mapping[str, Any]) -> str:
    latency = f"time {one['max_latency']:.0%}" if one["max_latency"] is not None else "time not judged"
    return f"loss {one['max_loss']:g}, size {one['max_size']:.0%}, {latency}"
