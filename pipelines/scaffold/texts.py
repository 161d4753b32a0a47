"""What texts are: dates, yes and no, prose, or names of something."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from components.ingestion import dates
from components.ingestion.rewriting import fold

_SAMPLE = 1000
_MOSTLY = 0.95
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.*)?"  # 2026-12-31 23:59
    r"|\d{1,2}[ -]?[A-Za-z]{3,9}\.?[ ,-]*\d{2,4}.*"  # 31 December 2026
    r"|[A-Za-z]{3,9} \d{1,2},? \d{4}.*"  # December 31, 2026
)
_DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%m/%d/%y", "%d/%m/%y",
    "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d%b%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M", " %I:%M:%S %p", " %I:%M %p")
_YES_AND_NO = (
    ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"), ("nein", "ja"), ("non", "oui"), ("nee", "ja"),
)  # fmt: skip
_WORDS = 6  # words on average that make a text that somebody wrote, not a name


def looks_like_dates(text: pa.ChunkedArray) -> bool:
    """Whether nearly all of some texts look like dates, whether or not they are."""
    sample = text.drop_null().slice(0, _SAMPLE).to_pylist()
    return bool(sample) and sum(bool(_DATE.fullmatch(one.strip())) for one in sample) >= _MOSTLY * len(sample)


def date_formats(text: pa.ChunkedArray, among: Sequence[str] = ()) -> list[str]:
    """The formats in which all of some texts are dates, the likeliest first; ISO 8601 comes as one of `dates`'s two.

    Args:
        among: formats to try; default: all that are common.
    """
    values = pc.unique(text.drop_null().cast(pa.string()))
    return [one for one in among or _formats(values.slice(0, 5).to_pylist()) if _all(values, one)]


def odd_dates(text: pa.ChunkedArray | pa.Array, most: int) -> tuple[str, list[str]]:
    """Of texts that look like dates: the format that most of the first ones have, and those that it does not fit.

    Args:
        most: how many that do not fit are returned, or a few more.
    """
    values = pc.unique(text.drop_null().cast(pa.string()))
    first = [values.slice(n, 1) for n in range(min(20, len(values)))]
    found = max(_formats(None), key=lambda one: sum(_all(value, one) for value in first))
    return found, _unfitting(values, found, most)


def _unfitting(values: pa.Array, format: str, most: int) -> list[str]:
    """By halves: one call is as fast for thousands of dates as for one."""
    if not len(values) or _all(values, format):
        return []
    if len(values) == 1:
        return [str(values[0].as_py())]
    middle = len(values) // 2
    odd = _unfitting(values.slice(0, middle), format, most)
    return odd if len(odd) > most else [*odd, *_unfitting(values.slice(middle), format, most)]


def yes_and_no(values: list[str]) -> tuple[str, str] | None:
    """Two texts as (no, yes) if that is what they say."""
    by_fold = {fold(one): one for one in values}
    pair = next((pair for pair in _YES_AND_NO if set(pair) == set(by_fold)), None)
    return None if pair is None or len(values) != 2 else (by_fold[pair[0]], by_fold[pair[1]])


def is_prose(text: pa.ChunkedArray) -> bool:
    """Whether texts have several words on average."""
    words = pc.count_substring_regex(text.drop_null(), r"\S+")
    return bool(pc.mean(words).as_py() >= _WORDS)


def _formats(first: list[str] | None) -> Iterator[str]:
    """All formats, or those that fit the first few texts."""
    yield from (dates.DAY, dates.TIME)
    for day in _DAYS:
        for clock in _CLOCKS:
            if day + clock not in (dates.DAY, dates.TIME) and (
                first is None or all(_is_date(one, day + clock) for one in first)
            ):
                yield day + clock


def _is_date(text: str, format: str) -> bool:
    try:
        datetime.datetime.strptime(text.strip(), format)
    except ValueError:
        return False
    return True


def _all(values: pa.Array, format: str) -> bool:
    try:
        times = dates.parse(values, format)
    except pa.ArrowInvalid:
        return False
    if format != dates.DAY:
        return True
    # A format without a time of day would lose one that is there.
    return bool(pc.all(pc.equal(times, pc.floor_temporal(times, unit="day"))).as_py())
