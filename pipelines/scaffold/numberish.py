"""Columns of text that a person reads as numbers: how they are written, and the few values that are not numbers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from components.ingestion.formatted_numbers import STYLES, Style, as_plain, style

# What people write where a value is missing.
PLACEHOLDERS = frozenset((
    "?", "-", "--", "---", ".", "..", "...", "n/a", "na", "#n/a", "nil", "none", "null", "nan", "missing", "unknown",
))  # fmt: skip
MOST_ODD = 5  # different values that are not numbers, or not dates
ODD_SHARE = 0.05  # of the rows; of placeholders a half
_PLACEHOLDER_SHARE = 0.5
_FEWEST_NUMBERS = 5  # different ones
_ENOUGH = 2000  # different values show how the rest are written
_ORDER = ("1234.5", "1,234.5", "1234,5", "1.234,5", "1 234,5", "1 234.5", "1'234.5", "1'234,5")


@dataclasses.dataclass(frozen=True)
class Numberish:
    """A column of numbers.

    Attributes:
        style: how they are written, by STYLES.
        is_plain: whether nothing stands with the number: no unit, no grouping, no bracket.
        is_sure: whether the decimal mark could not as well group thousands.
        missing: texts that mean that there is no value.
        odd: texts that are neither a number nor a known way to say that there is none.
    """

    style: str
    is_plain: bool
    is_sure: bool
    example: str
    missing: tuple[str, ...]
    odd: tuple[str, ...]


def is_code(texts: pa.Array) -> bool:
    """Whether digits are a code rather than a number: a leading zero means that every digit counts, as in a postcode."""
    digits = pc.all(pc.match_substring_regex(texts, r"^\d+$")).as_py()
    return bool(digits and pc.any(pc.match_substring_regex(texts, r"^0\d")).as_py())


def judge(texts: pa.Array, counts: pa.Array, styles: Sequence[str] = _ORDER) -> Numberish | None:
    """What a column of numbers is like; None: it is not one.

    Args:
        texts: its different values, without spaces around them, none of them empty.
        styles: the candidates, likeliest first.
    """
    if not any(pc.sum(_fits(texts.slice(0, _ENOUGH), one)).as_py() * 2 >= min(_ENOUGH, len(texts)) for one in styles):
        return None
    rows = pc.sum(counts).as_py()
    fitting = {one: _fits(texts, one) for one in styles}
    covered = {one: pc.sum(pc.if_else(mask, counts, 0)).as_py() for one, mask in fitting.items()}
    best = max(styles, key=lambda one: (covered[one], -styles.index(one)))
    fits = fitting[best]
    numbers, others = texts.filter(fits), texts.filter(pc.invert(fits)).to_pylist()
    missing = tuple(one for one in others if one.lower() in PLACEHOLDERS)
    odd = tuple(one for one in others if one.lower() not in PLACEHOLDERS)
    share = {one: count for one, count in zip(texts.to_pylist(), counts.to_pylist(), strict=True) if one in set(others)}
    if (
        len(numbers) < _FEWEST_NUMBERS
        or len(odd) > MOST_ODD
        or sum(share[one] for one in odd) > ODD_SHARE * rows
        or sum(share[one] for one in missing) > _PLACEHOLDER_SHARE * rows
        or len(_units(numbers)) > 1
        or (odd and is_code(numbers))
    ):
        return None
    other = next(
        (one for one in styles if one != best and covered[one] == covered[best] and _mark(one) != _mark(best)), None
    )
    is_sure = other is None or as_plain(numbers, style(other)).equals(as_plain(numbers, style(best)))
    is_plain = bool(pc.all(pc.match_substring_regex(numbers, r"^[-+]?[\d.,]+([eE][-+]?\d+)?$")).as_py()) and best in (
        "1234.5",
        "1234,5",
    )
    example = next((one for one in numbers.to_pylist() if re.search(r"\D", one)), numbers[0].as_py())
    return Numberish(best, is_plain, is_sure, example, missing, odd)


def _fits(texts: pa.Array, name: str) -> pa.Array:
    return pc.is_valid(pc.extract_regex(texts, style(name).pattern))


def _mark(name: str) -> str:
    return STYLES[name][0]


def _units(numbers: pa.Array) -> set[str]:
    """What is written beside the numbers; a column has one unit, or none."""
    found = pc.unique(
        pc.replace_substring_regex(numbers, r"[-+\x{2212}\d.,'()\s\x{00A0}\x{202F}\x{2009}]|[eE][-+]?\d+$", "")
    )
    return set(found.to_pylist())


def known_styles(decimal: str | None, thousands: str | None) -> tuple[str, ...]:
    """The styles that fit what a person has said of the marks."""
    return tuple(
        one
        for one in _ORDER
        if (decimal is None or STYLES[one][0] == decimal) and (thousands is None or STYLES[one][1] == thousands)
    )


def to_numbers(column: pa.ChunkedArray, name: str, missing: Collection[str]) -> pa.ChunkedArray:
    """A column of texts as numbers: whole ones if all of them are."""
    texts = pc.utf8_trim_whitespace(column.combine_chunks())
    texts = pc.if_else(pc.is_in(texts, pa.array(["", *missing])), None, texts)
    plain = as_plain(texts, style(name) if name else Style())
    for kind in (pa.int64(), pa.float64()):
        try:
            return pa.chunked_array([plain.cast(kind)])
        except pa.ArrowInvalid:
            continue
    return column
