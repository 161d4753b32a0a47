"""What each column is good for: a number, a category, or nothing."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.scaffold import texts
from pipelines.scaffold.row_numbers import is_called_identifier, is_row_number
from spec.errors import InputError

FEW_VALUES = 20  # distinct texts, and fewer, make a closed set
_SMALL_INTEGERS = 12  # distinct integers, and fewer, are codes rather than amounts
_ROWS_A_VALUE = 10  # fewer rows for each value than this tell nothing about the value
_MOSTLY_DISTINCT = 0.5
_NEARLY_EMPTY = 0.01
_DAY_NUMBER = re.compile(r"(^|[\W_])(date|day|dt|datum)([\W_]|$)")  # 20261231


_PERSONAL = (
    re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    re.compile(r"(\+|00)\d[\d ()/.-]{6,20}"),
    re.compile(r"[A-Z]{2}\d{2} ?([A-Z0-9]{4} ?){2,7}[A-Z0-9]{0,4}"),
)


class Kind(StrEnum):
    """How a column enters the model."""

    NUMBER = "number"
    SKEWED = "skewed number"
    CODE = "integer code"
    CATEGORY = "category"
    IDENTIFIER = "identifier"
    BOOLEAN = "boolean"
    DATE = "date"
    TEXT = "text"
    IMAGE = "image"
    CARRIED = "carried"  # in the data, for the split; no feature


@dataclasses.dataclass(frozen=True)
class Column:
    """A column that the pipeline reads.

    Attributes:
        name: as in the file; any text.
        kind: how it enters the model.
        dtype: INT, FLOAT or BYTES, as TFMD says it.
        present: share of rows that have a value.
        values: all values where they are few, sorted; else ().
        longest: characters of the longest text, else None.
        personal: by their form, its texts are personal data.
        format: of dates: how the files write them, as strftime would; "" elsewhere.
        note: what a person should know of how it was taken, if anything.
    """

    name: str
    kind: Kind
    dtype: str
    present: float
    values: tuple[Any, ...] = ()
    longest: int | None = None
    personal: bool = False
    format: str = ""
    note: str = ""

    @property
    def nullable(self) -> bool:
        return self.present < 1


@dataclasses.dataclass(frozen=True)
class Profile:
    """The columns to read, and why the others are not read."""

    columns: tuple[Column, ...]
    ignored: dict[str, str]


def text_columns(table: pa.Table) -> list[str]:
    """Columns whose text says more than the type that Arrow gave them: booleans and times."""
    return [field.name for field in table.schema if pa.types.is_boolean(field.type) or pa.types.is_temporal(field.type)]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is known of columns before they are looked at.

    Attributes:
        carried: columns that the split needs; they become no feature.
        ids: identifiers, whatever they look like.
        ignored: columns to leave out, and why.
        of_no_use: kinds that the drafted features know nothing of.
    """

    carried: Collection[str] = ()
    ids: Collection[str] = ()
    ignored: Mapping[str, str] = dataclasses.field(default_factory=dict)
    of_no_use: Collection[Kind] = ()


def profile(table: pa.Table, label: str | None, wanted: Wanted) -> Profile:
    """Looks at every column but the label.

    Args:
        table: all rows; `text_columns` as texts.

    Raises:
        InputError: nothing is left to learn from, or a number is infinite.
    """
    columns: list[Column] = []
    ignored: dict[str, str] = {}
    for name in table.column_names:
        if name == label:
            continue
        if name in wanted.ids:
            columns.append(_required(table, name, Kind.IDENTIFIER, "is an id"))
        elif name in wanted.carried:
            columns.append(_required(table, name, Kind.CARRIED, "decides the split"))
        elif name in wanted.ignored:
            ignored[name] = wanted.ignored[name]
        else:
            found = _look(name, table.column(name), table.num_rows)
            if not isinstance(found, Column):
                ignored[name] = found
            elif found.kind in wanted.of_no_use:
                ignored[name] = f"it is a {found.kind}; add it by hand (docs/guides/new-workload.md)"
            else:
                columns.append(found)
    if not any(column.kind is not Kind.CARRIED for column in columns):
        why = "; ".join(f"{name!r}: {reason}" for name, reason in ignored.items())
        raise InputError(f"--data: no column is left to learn from. {why or 'The label is the only column'}.")
    return Profile(tuple(columns), ignored)


def _required(table: pa.Table, name: str, kind: Kind, why: str) -> Column:
    values = table.column(name)
    if values.null_count:
        raise InputError(f"column {name!r} {why}, and {values.null_count:,} rows have no value there.")
    is_int, is_float = pa.types.is_integer(values.type), pa.types.is_floating(values.type)
    dtype = "INT" if is_int else "FLOAT" if is_float else "BYTES"
    personal = pa.types.is_string(values.type) and _is_personal(values)
    if dtype == "BYTES" and texts.looks_like_dates(text := values.cast(pa.string())):
        found = _date(name, text, 1.0)
        if isinstance(found, Column):
            return dataclasses.replace(found, kind=kind)
    return Column(name, kind, dtype, 1.0, personal=personal)


def _look(name: str, values: pa.ChunkedArray, rows: int) -> Column | str:
    """The column's description, or why it is of no use."""
    if not name.strip():
        return "it has no name"
    if values.null_count == rows:
        return "it has no values"
    present = 1 - values.null_count / rows
    if present < _NEARLY_EMPTY:
        return f"only {rows - values.null_count} of {rows:,} rows have a value"
    if pa.types.is_nested(values.type):
        return "it holds lists or objects; add it by hand (docs/guides/new-workload.md)"
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return "it holds bytes; if they are pictures, add them by hand (docs/guides/features.md)"
    distinct = pc.count_distinct(values, mode="only_valid").as_py()
    if distinct == 1 and present == 1:
        return "all rows have the same value"
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        return _number(name, values, rows, present, distinct)
    return _text(name, values, rows, present, distinct)


def _number(name: str, values: pa.ChunkedArray, rows: int, present: float, distinct: int) -> Column | str:
    integer = pa.types.is_integer(values.type)
    low, high = pc.min_max(values).as_py().values()  # of whole numbers exact: a double has 53 bits
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(
            f"column {name!r}: holds an infinite number. Write it as missing, or give the column to --ignore."
        )
    if is_row_number(name, values):
        return "each row has its own value: a row number or an identifier"
    if integer and not -(2**63) <= low <= high < 2**63:
        return "it holds numbers beyond 64 bits; deliver it as text if it is a code"
    if integer and _DAY_NUMBER.search(name.lower()) and low >= 19000101 and high <= 21001231:
        text = values.cast(pa.string())
        if texts.date_formats(text, ("%Y%m%d",)):
            return _date(name, text, present, "%Y%m%d")
    dtype = "INT" if integer else "FLOAT"
    if integer and distinct <= _SMALL_INTEGERS and rows >= _ROWS_A_VALUE * distinct and low >= 0:
        codes = tuple(sorted(pc.unique(values.drop_null()).to_pylist()))
        return Column(name, Kind.CODE, dtype, present, codes)
    # A category for each, or nothing: that one is greater than another says nothing.
    if integer and is_called_identifier(name):
        if distinct > _MOSTLY_DISTINCT * (known := rows - values.null_count):
            return f"{distinct:,} distinct identifiers in {known:,} rows: too many to learn from"
        note = f"rows share its {distinct:,} values. If predictions will be for new ones, --key keeps the rows of one in one split"
        return Column(name, Kind.IDENTIFIER, dtype, present, note=note)
    kind = Kind.SKEWED if low >= 0 and _is_skewed(values) else Kind.NUMBER
    return Column(name, kind, dtype, present)


def _is_skewed(values: pa.ChunkedArray) -> bool:
    """A long tail to the right: the mean lies far above the median by a third of the middle half's width."""
    values = values.cast(pa.float64(), safe=False)
    low, middle, high = pc.quantile(values, q=[0.25, 0.5, 0.75]).to_pylist()
    return bool(high > low and pc.mean(values).as_py() - middle > 0.3 * (high - low))


def _text(name: str, values: pa.ChunkedArray, rows: int, present: float, distinct: int) -> Column | str:
    text = values.cast(pa.string())
    known = text.drop_null()
    if texts.looks_like_dates(text):
        return _date(name, text, present)
    if distinct > FEW_VALUES and texts.is_prose(known):
        return Column(name, Kind.TEXT, "BYTES", present, longest=pc.max(pc.utf8_length(known)).as_py())
    if distinct == len(known):
        return "each row has its own text: an identifier or a name"
    if distinct > _MOSTLY_DISTINCT * len(known):
        return f"{distinct:,} distinct texts in {len(known):,} rows: too many to learn from"
    longest = pc.max(pc.utf8_length(known)).as_py()
    few = distinct <= FEW_VALUES and rows >= _ROWS_A_VALUE * distinct
    personal = _is_personal(known)
    options = tuple(sorted(pc.unique(known).to_pylist())) if few and not personal else ()
    if pair := texts.yes_and_no(list(options)):
        return Column(name, Kind.BOOLEAN, "BYTES", present, values=pair)
    return Column(name, Kind.CATEGORY, "BYTES", present, values=options, longest=longest, personal=personal)


def _date(name: str, text: pa.ChunkedArray, present: float, format: str = "") -> Column | str:
    formats = [format] if format else texts.date_formats(text)
    if not formats:
        likely, (odd, *_) = texts.odd_dates(text, 1)
        row = pc.index(text, odd).as_py() + 1
        return f"nearly all are dates as {likely}, but row {row} has {odd!r}: mend it, or leave the value empty"
    note = ""
    if other := next((one for one in formats[1:] if one.replace("%d", "%m") == formats[0].replace("%d", "%m")), None):
        note = f"read as {formats[0]}; {other} would do, too: time_domain in schema.pbtxt decides"
    return Column(name, Kind.DATE, "BYTES", present, format=formats[0], note=note)


def _is_personal(values: pa.ChunkedArray) -> bool:
    """Whether nearly all texts are e-mail addresses, phone numbers with their country, or IBANs."""
    sample = [text.strip() for text in values.drop_null().slice(0, 1000).to_pylist()]
    return any(
        sample and sum(bool(form.fullmatch(text)) for text in sample) >= 0.95 * len(sample) for form in _PERSONAL
    )
