"""The distributions of a data set's columns, as one file that later data is compared with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import is_text_or_bytes
from components.drift.distributions import Categories, Distribution, categories, from_json, numbers

ALL = ""
"""The slice that all rows are in."""
_MOST_SLICES = 20
# A text column with mostly unique values is free text: its lengths can be compared, but not its values.
_FREE_TEXT = 0.5


@dataclasses.dataclass(frozen=True)
class Profile:
    """Distributions by slice and column.

    Attributes:
        name: of the data, in words, e.g. `span 12`.
        rows: by slice; the slice ALL has all of them.
        distributions: slice -> column -> distribution.
        digest: of the delivered files; empty where it is not known.
        fingerprint: of the rows, independent of their order and files; empty if it is not known.
        doubled: share of the rows that have a duplicate.
        strengths: how well each column alone predicts the label.
        personal: columns whose values are shown nowhere; texts among them are described by their length.
    """

    name: str
    rows: Mapping[str, int]
    distributions: Mapping[str, Mapping[str, Distribution]]
    digest: str = ""
    fingerprint: str = ""
    doubled: float = 0.0
    strengths: Mapping[str, float] = dataclasses.field(default_factory=dict)
    personal: tuple[str, ...] = ()

    def to_json(self) -> str:
        distributions = {
            part: {column: one.to_json() for column, one in columns.items()}
            for part, columns in self.distributions.items()
        }
        marks = {"digest": self.digest, "fingerprint": self.fingerprint, "doubled": self.doubled}
        marks |= {"strengths": dict(self.strengths), "personal": list(self.personal)}
        return json.dumps({"name": self.name, **marks, "rows": dict(self.rows), "distributions": distributions})

    @classmethod
    def from_json(cls, text: str) -> Profile:
        raw = json.loads(text)
        distributions = {
            part: {column: from_json(one) for column, one in columns.items()}
            for part, columns in raw["distributions"].items()
        }
        rows = {part: int(count) for part, count in raw["rows"].items()}
        # Profiles of earlier versions lack these.
        marks = {name: raw[name] for name in ("digest", "fingerprint", "doubled", "strengths") if name in raw}
        return cls(str(raw["name"]), rows, distributions, **marks, personal=tuple(raw.get("personal", ())))


def profile(
    name: str,
    columns: Sequence[str],
    read: Callable[[str], pa.ChunkedArray],
    named: Iterable[str] = (),
    slices: Sequence[str] = (),
    min_rows: int = 1,
    personal: Iterable[str] = (),
    dates: Iterable[str] = (),
) -> Profile:
    """Describes data column by column, with at most two columns in memory.

    Args:
        columns: to describe; lists and structures among them are passed over.
        read: the values of a column, each time in the same order of rows.
        named: columns of whole numbers that are names (codes, zones), not amounts.
        slices: columns by whose most frequent values the rows are described separately, too.
        min_rows: a value of a slice with fewer rows is passed over.
        personal: columns whose values must not be kept by name: texts are described by their length, codes as amounts, and
            they make no slices.
        dates: columns of dates in ISO 8601. They are described by day of the week, because the dates themselves move from span to
            span.
    """
    in_time = frozenset(dates)
    hidden = frozenset(personal)
    slices = [column for column in slices if column not in hidden]
    masks = {label: mask for column in slices for label, mask in _slices(column, read(column), min_rows)}
    distributions: dict[str, dict[str, Distribution]] = {part: {} for part in (ALL, *masks)}
    total = 0
    for column in columns:
        values = read(column)
        total = len(values)
        if column in in_time:
            values = _weekday(values)
        found = describe(_length(values) if column in hidden else values, column in set(named) - hidden)
        if found is None:
            continue
        distributions[ALL][column] = found
        for part, mask in masks.items():
            part_of = values.filter(mask)
            sliced = describe(_length(part_of) if column in hidden else part_of, isinstance(found, Categories))
            if sliced is not None:
                distributions[part][column] = sliced
    rows = {part: int(pc.sum(mask).as_py()) for part, mask in masks.items()}
    return Profile(name, {ALL: total, **rows}, distributions, personal=tuple(c for c in columns if c in hidden))


def _weekday(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates in ISO 8601 as `Monday` to `Sunday`."""
    days = pc.strptime(pc.utf8_slice_codeunits(values, 0, 10), format="%Y-%m-%d", unit="s", error_is_null=True)
    return pc.strftime(days, format="%A")


def _length(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as their length in bytes; other values unchanged."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    return pc.binary_length(values.cast(pa.large_binary())) if is_text_or_bytes(kind) else values


def describe(values: pa.ChunkedArray, is_named: bool) -> Distribution | None:
    """The distribution of a column, or of the lengths of free text; None for lists, structures and raw bytes."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and is_named):
        return categories(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return numbers(values)
    if not is_text_or_bytes(kind):
        return None
    if not is_named and _is_free_text(values):
        return numbers(_length(values))
    return categories(values)


def _is_free_text(values: pa.ChunkedArray) -> bool:
    present = len(values) - values.null_count
    return present > 100 and pc.count_distinct(values, mode="only_valid").as_py() > _FREE_TEXT * present


def _slices(column: str, values: pa.ChunkedArray, min_rows: int) -> list[tuple[str, pa.ChunkedArray]]:
    """(`column=value`, row mask) of the most frequent values."""
    found = categories(values)
    names = [name for name, rows in found.counts.items() if rows >= min_rows][:_MOST_SLICES]
    texts = (values if is_text_or_bytes(values.type) else values.cast(pa.large_string())).cast(pa.large_binary())
    return [(f"{column}={name}", pc.fill_null(pc.equal(texts, name.encode()), False)) for name in names]
