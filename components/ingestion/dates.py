"""Dates and times as text in one form: ISO 8601, to the second, without a time zone."""

from __future__ import annotations

import dataclasses
import datetime
import re

import pyarrow as pa
import pyarrow.compute as pc

DAY, TIME = "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$"
_ISO_ZONED = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)$"
_CLOCK = re.compile(r"%[HIMTRcXs]")
_US = pa.timestamp("us")


@dataclasses.dataclass(frozen=True)
class Dates:
    """Rewrites texts in a format or in ISO 8601 as `2026-12-31`, or as `2026-12-31T23:59:59` if the format has a time of day.

    A time with an offset becomes UTC; one without stays as it is.

    Attributes:
        format: as strftime writes it.
    """

    format: str

    @property
    def expected(self) -> str:
        return f"a date as {self.format} or in ISO 8601"

    def __call__(self, array: pa.Array) -> pa.Array:
        times = parse(array, self.format)
        # Arrow writes fractions of a second wherever the type has them.
        return pc.strftime(times.cast(pa.timestamp("s"), safe=False), format=TIME if has_clock(self.format) else DAY)


def has_clock(format: str) -> bool:
    """Whether a format says the time of day."""
    return bool(_CLOCK.search(format))


def parse(array: pa.Array, format: str) -> pa.Array:
    """Points in time, of type timestamp[us]; null where the text is null or empty.

    Args:
        format: as strftime writes it; ISO 8601 is understood too.

    Raises:
        ArrowInvalid: a text is not a date.
    """
    text = pc.utf8_trim_whitespace(array)
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    found = pa.nulls(len(text), _US)
    for pattern, zone in ((_ISO, None), (_ISO_ZONED, "UTC")):
        fits = pc.fill_null(pc.match_substring_regex(text, pattern), False)
        if pc.any(fits).as_py():
            iso = pc.replace_substring_regex(pc.if_else(fits, text, None), r"(\.\d{6})\d+", r"\1")
            found = pc.coalesce(found, iso.cast(pa.timestamp("us", zone)).cast(_US))
    if found.null_count > text.null_count:
        rest = pc.if_else(found.is_null(), text, None)
        found = pc.coalesce(found, _by_format(rest, format))
    return found


def _by_format(text: pa.Array, format: str) -> pa.Array:
    times = pc.strptime(text, format=format, unit="us", error_is_null=True)
    if times.null_count != text.null_count:
        bad = text.filter(pc.and_(text.is_valid(), times.is_null()))
        raise pa.ArrowInvalid(f"{bad[0].as_py()[:60]!r} is no date")
    # The C library reads the 31st of February as the 3rd of March.
    for value in pc.unique(text.filter(pc.less_equal(pc.day(times), 3))).to_pylist():
        try:
            datetime.datetime.strptime(value, format)
        except ValueError:
            raise pa.ArrowInvalid(f"{value[:60]!r} is no date") from None
    return times
