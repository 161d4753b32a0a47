"""How figures and names are written on the page: the same everywhere, and short."""

from __future__ import annotations

import datetime
import math
from typing import Any

NOTHING = "–"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def count(value: Any) -> str:
    """12345 -> 12,345."""
    return f"{int(value):,}" if is_number(value) else NOTHING


def figure(value: Any) -> str:
    """A measured value in one width per size, so that columns line up: 0.9132, 1.0000, 38.41, 1.2e-07."""
    if not is_number(value):
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if value == 0 or 0.00005 <= abs(value) <= 1:
        return f"{value:.4f}".replace("-", "−")
    if 1 <= abs(value) < 1e9:
        digits = max(0, 3 - int(math.log10(abs(value))))
        return f"{value:,.{digits}f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def brief(value: Any) -> str:
    """A described value, without trailing zeros: 11.8, 41.9, 1.703e+10."""
    if not is_number(value):
        return NOTHING
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def signed(value: Any) -> str:
    """A difference, with its sign: +0.0131, −0.0020."""
    text = figure(value)
    return f"+{text}" if is_number(value) and value > 0 else text


def percent(share: Any) -> str:
    """0.0312 -> 3.1 %; a share that is not nought never reads as 0 %."""
    if not is_number(share):
        return NOTHING
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %" if 0 < share < 1 else f"{100 * share:.0f} %"


def duration(seconds: Any) -> str:
    """0.42 -> 0.4 s; 125 -> 2 min 5 s; 3700 -> 1 h 1 min."""
    if not is_number(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def when(iso: str) -> str:
    """2026-11-21T08:15:00+00:00 -> 21 November 2026, 08:15 UTC."""
    try:
        moment = datetime.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def shorten(text: Any, length: int = 160) -> str:
    """A text of bounded length, so that no value from the data can swamp the page."""
    flat = str(text)
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"


def plural(number: int, noun: str) -> str:
    """1 check, 2 checks."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
