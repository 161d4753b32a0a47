"""Rewrites texts while they are read, so that everything after ingestion sees one spelling of each value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pyarrow as pa

from components.ingestion.dates import Dates


def fold(text: str) -> str:
    """A key that two spellings of one value share: case and surrounding spaces do not count."""
    return " ".join(text.split()).casefold()


@dataclasses.dataclass(frozen=True)
class Spellings:
    """Replaces texts that differ from a class only in case or spaces by that class; other texts stay as they are."""

    classes: tuple[str, ...]

    expected = "string"

    def __call__(self, array: pa.Array) -> pa.Array:
        known = {fold(one): one for one in self.classes}
        return _by_value(array, lambda text: known.get(fold(text), text))


@dataclasses.dataclass(frozen=True)
class Booleans:
    """Writes booleans as the schema does, from the schema's own words or `true` and `false`, in any case."""

    no: str
    yes: str

    @property
    def expected(self) -> str:
        return f"{self.no} or {self.yes}, or a boolean"

    def __call__(self, array: pa.Array) -> pa.Array:
        known = {"false": self.no, "true": self.yes, fold(self.no): self.no, fold(self.yes): self.yes}
        return _by_value(array, lambda text: known.get(fold(text), text))


# What brings a column's values to one spelling; dataclasses of plain values, because they are pickled for Beam's workers.
Rewrite = Dates | Spellings | Booleans


def rewrite_of(time_format: str, booleans: tuple[str, ...]) -> Rewrite | None:
    """How a text column is rewritten; None: not at all.

    Args:
        time_format: of dates, as strftime writes it; empty: there are none.
        booleans: how no and yes are written; empty: there are none.
    """
    if time_format:
        return Dates(time_format)
    return Booleans(*booleans) if booleans else None


def _by_value(array: pa.Array, function: Callable[[str], str]) -> pa.Array:
    """Applies a function once for each distinct value."""
    encoded = array.dictionary_encode()
    return pa.array([function(value) for value in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)
