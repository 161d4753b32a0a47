"""Numbers as people write them: `$1,234.00`, `12.3 %`, `1.234,5 €`, `(5)`. Computed by Arrow, a column at a time."""

from __future__ import annotations

import dataclasses
import re

import pyarrow as pa
import pyarrow.compute as pc

# How a number may be written, keyed by how 1234.5 looks.
STYLES = {
    f"1{thousands}234{decimal}5": (decimal, thousands)
    for decimal in ".,"
    for thousands in ("", ",", ".", " ", "'")
    if thousands != decimal
}
_SPACE = r"[ \x{00A0}\x{202F}\x{2009}]"  # a plain space, and those that typesetters and spreadsheets put between digits
# Only known currencies: the letters of INV1001 are part of a code.
_CURRENCIES = "AED|AUD|BRL|CAD|CHF|CLP|CNY|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|NOK|NZD|PLN|RON|RUB|SEK|SGD|THB|TRY|USD|ZAR"
_UNIT = rf"{_SPACE}*(?:\p{{Sc}}|%|{_CURRENCIES}|[A-Z]{{0,2}}\$){_SPACE}*"
_SIGN = r"[-+\x{2212}]"


@dataclasses.dataclass(frozen=True)
class Style:
    """How the numbers of a column are written.

    Attributes:
        decimal: mark, `.` or `,`.
        thousands: digit grouping; empty: none.
    """

    decimal: str = "."
    thousands: str = ""

    @property
    def pattern(self) -> str:
        """A regular expression (RE2) for a whole text; groups: bracket, sign, digits, end."""
        group = _SPACE if self.thousands == " " else re.escape(self.thousands)
        grouped = rf"[1-9]\d{{0,2}}(?:{group}\d{{2,3}})*{group}\d{{3}}|" if self.thousands else ""
        digits = rf"(?:(?:{grouped}\d+)(?:{re.escape(self.decimal)}\d*)?|{re.escape(self.decimal)}\d+)(?:[eE][-+]?\d+)?"
        unit = rf"(?:{_UNIT})?"
        return (
            rf"^{_SPACE}*(?P<bracket>\(?){unit}(?P<sign>{_SIGN}?){unit}(?P<digits>{digits}){unit}(?P<end>\)?){_SPACE}*$"
        )


def is_number(texts: pa.Array) -> bool:
    """Whether Arrow reads all of them as numbers, which is ten times as fast as stripping units and grouping."""
    try:
        texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def style(sample: str) -> Style:
    """The style that a sample in STYLES stands for, such as `1.234,5`."""
    return Style(*STYLES[sample])


def as_plain(texts: pa.Array, style: Style) -> pa.Array:
    """Texts in a form that Arrow reads as numbers; a text that is not a number in this style is left for Arrow to refuse.

    Units are dropped and the number is kept as written: `12.3 %` is 12.3. Brackets mean a minus, as in accounting.
    """
    if style.decimal == "." and is_number(texts):
        return texts
    parts = pc.extract_regex(texts, style.pattern)
    if parts.null_count == len(parts):
        return texts
    digits = pc.struct_field(parts, "digits")
    if style.thousands:
        digits = pc.replace_substring_regex(
            digits, _SPACE if style.thousands == " " else re.escape(style.thousands), ""
        )
    if style.decimal != ".":
        digits = pc.replace_substring(digits, style.decimal, ".")
    is_open, is_closed = (pc.not_equal(pc.struct_field(parts, part), "") for part in ("bracket", "end"))
    minus = pc.or_(pc.is_in(pc.struct_field(parts, "sign"), pa.array(["-", "\u2212"])), is_open)
    plain = pc.binary_join_element_wise(pc.if_else(minus, "-", ""), digits, "")
    return pc.coalesce(pc.if_else(pc.equal(is_open, is_closed), plain, None), texts)
