"""What `{SPAN}`, `{VERSION}` and `{YYYY}{MM}{DD}` in a URI stand for, as TFX defines them."""

from __future__ import annotations

import dataclasses
import datetime
import re

import storage
from landing._files import glob

_PLACEHOLDERS = {"SPAN": r"\d+", "VERSION": r"\d+", "YYYY": r"\d{4}", "MM": r"\d{2}", "DD": r"\d{2}"}
_ANY = re.compile(r"\{(" + "|".join(_PLACEHOLDERS) + r")\}")
_EPOCH = datetime.date(1970, 1, 1)
MOST_SPAN_DIGITS = 18
"""A span's number fits 64 bits: TFX and ML Metadata keep it so."""


@dataclasses.dataclass(frozen=True)
class Location:
    """Where one span lies.

    Attributes:
        span: its number; for dates, days since 1970-01-01.
        version: the newest there is; 0 where the URI has no `{VERSION}`.
        uri: of its files, the placeholders filled in as they are written on disk (`span-007` stays that).
        rival: another place that is the same span and version, such as `span-01` beside `span-1`; nobody can tell which is meant.
    """

    span: int
    version: int
    uri: str
    rival: str = ""


def has_spans(uri: str) -> bool:
    """Whether a URI tells spans apart."""
    return "{SPAN}" in uri or "{YYYY}" in uri


def is_by_date(uri: str) -> bool:
    """Whether a span is a day."""
    return "{YYYY}" in uri


def day_of(span: int) -> datetime.date:
    """The day that a span by date is.

    Example:
        >>> day_of(20_454).isoformat()
        '2026-01-01'
    """
    return _EPOCH + datetime.timedelta(days=span)


def span_of_day(day: datetime.date) -> int:
    """The span's number of a day: the days since 1970-01-01."""
    return (day - _EPOCH).days


def refresh(uri: str) -> None:
    """Forgets what fsspec has listed: the next look sees what is there now."""
    storage.filesystem(uri)[0].invalidate_cache()


def locations(uri: str) -> dict[int, Location]:
    """The spans that a URI pattern matches, by number, oldest first; of each the newest version."""
    filesystem, path = storage.filesystem(uri)
    prefix = _up_to_last_placeholder(path)
    pattern = _expression(prefix)
    found: dict[int, Location] = {}
    for name in glob(filesystem, re.sub(r"\*+", "*", _ANY.sub("*", prefix))):
        match = pattern.fullmatch(name.rstrip("/"))
        span = None if match is None else _number(match.groupdict())
        if match is None or span is None:
            continue
        version = int(match.groupdict().get("VERSION", 0))
        known = found.get(span)
        if known is None or version >= known.version:
            texts = match.groupdict()
            filled = _ANY.sub(lambda placeholder, texts=texts: texts[placeholder[1]], uri)  # type: ignore[misc]
            same = known is not None and known.version == version and known.uri != filled
            found[span] = Location(span, version, filled, known.uri if known is not None and same else "")
    return dict(sorted(found.items()))


def _up_to_last_placeholder(path: str) -> str:
    last = max(match.end() for match in _ANY.finditer(path))
    return path[:last] + path[last:].partition("/")[0]


def _expression(prefix: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"  # the same number wherever it stands
        seen.add(name)
        return f"(?P<{name}>{_PLACEHOLDERS[name]})"

    parts, at = [], 0
    for match in _ANY.finditer(prefix):
        parts += [_literal(prefix[at : match.start()]), group(match)]
        at = match.end()
    return re.compile("".join([*parts, _literal(prefix[at:])]))


def _literal(text: str) -> str:
    return re.escape(text).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _number(texts: dict[str, str]) -> int | None:
    if "SPAN" in texts:
        return int(texts["SPAN"])
    try:
        return span_of_day(datetime.date(int(texts["YYYY"]), int(texts["MM"]), int(texts["DD"])))
    except ValueError:
        return None  # 2026-13-40 is no day, and so no span
