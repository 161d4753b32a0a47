from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.ingestion.contract import Column
    from components.ingestion.formatted_numbers import Style

NA_VALUES = ("NA", "NaN", "nan", "null", "NULL", "None")


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files are to be read, as workload.yaml's `data.read` declares it; the same for every reader.

    Attributes:
        separator: between the columns of a CSV; one character.
        encoding: of text; as Python names it.
        decimal: the decimal mark of a CSV's numbers.
        thousands: what groups the digits of a CSV's numbers; empty: nothing does.
        header: whether a CSV's first row has the columns' names.
        names: of a CSV's columns, in their order, instead of those in its header.
        skip_rows: lines ahead of a CSV's header.
        comment: what a line begins with that is no data; empty: there are none.
        repeated_header: whether a line that is equal to the header is no data.
        sheet: of an Excel file; empty: the first that is not.
        na_values: texts that mean that a value is missing, as the empty text always does.
        na_values_by_column: other such texts for some columns.
        numbers: how numbers are written in columns where they stand with a currency, %, grouped digits or in brackets.
    """

    separator: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str = ""
    header: bool = True
    names: tuple[str, ...] = ()
    skip_rows: int = 0
    comment: str = ""
    repeated_header: bool = False
    sheet: str = ""
    na_values: tuple[str, ...] = NA_VALUES
    na_values_by_column: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    numbers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Reading:
        """From its fields, as JSON or the workload's section gives them."""
        by_column = {name: tuple(words) for name, words in fields.get("na_values_by_column", {}).items()}
        lists = {name: tuple(fields[name]) for name in ("names", "na_values") if name in fields}
        return cls(**{**fields, **lists, "na_values_by_column": by_column})

    def missing(self, column: str) -> tuple[str, ...]:
        """The texts that mean in a column that a value is missing; the empty one is not among them."""
        return self.na_values_by_column.get(column, self.na_values)

    def applied(self, columns: Sequence[Column]) -> list[Column]:
        """The columns, each knowing what is missing there and how its numbers are written."""
        return [
            dataclasses.replace(column, missing=self.missing(column.name), style=self._style(column))
            for column in columns
        ]

    def _style(self, column: Column) -> Style | None:
        import pyarrow as pa  # who looks for spans, or compiles, need not wait for it

        from components.ingestion.formatted_numbers import Style, style

        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            return None
        if column.name in self.numbers:
            return style(self.numbers[column.name])
        return Style(self.decimal, self.thousands) if (self.decimal, self.thousands) != (".", "") else None


PLAIN = Reading()
