"""What texts become on their way in, so that all that comes after ingestion knows one form of each value."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from components.ingestion.dates import Dates


class Rewrite(Protocol):
    """A column's values in their one form. It travels to Beam's workers, so it is to be a dataclass of plain values."""

    @property
    def expected(self) -> str:
        """What a value is to be, for messages."""

    def __call__(self, array: pa.Array) -> pa.Array:
        """An array of texts, as long as the one received.

        Raises:
            ArrowInvalid: a value cannot be rewritten.
        """


def fold(text: str) -> str:
    """What two spellings of one value have in common: case and spaces are left out of account."""
    return " ".join(text.split()).casefold()


@dataclasses.dataclass(frozen=True)
class Spellings:
    """Each text as one of the classes from which it differs only in case or spaces; other texts stay as they are."""

    classes: tuple[str, ...]

    expected = "string"

    def __call__(self, array: pa.Array) -> pa.Array:
        known = {fold(one): one for one in self.classes}
        return _by_value(array, lambda text: known.get(fold(text), text))


@dataclasses.dataclass(frozen=True)
class Booleans:
    """Yes and no as a schema writes them; `true` and `false`, as Parquet and JSON have them, are the same, and so is any case."""

    no: str
    yes: str

    @property
    def expected(self) -> str:
        return f"{self.no} or {self.yes}, or a boolean"

    def __call__(self, array: pa.Array) -> pa.Array:
        known = {"false": self.no, "true": self.yes, fold(self.no): self.no, fold(self.yes): self.yes}
        return _by_value(array, lambda text: known.get(fold(text), text))


def rewrite_of(time_format: str, booleans: tuple[str, ...]) -> Rewrite | None:
    """What is done with a column of texts; None: nothing.

    Args:
        time_format: of dates, as strftime writes it; empty: there are none.
        booleans: how no and yes are written; empty: there are none.
    """
    if time_format:
        return Dates(time_format)
    return Booleans(*booleans) if booleans else None


def _by_value(array: pa.Array, function: Callable[[str], str]) -> pa.Array:
    """Asks once for each different value."""
    encoded = array.dictionary_encode()
    return pa.array([function(value) for value in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)
