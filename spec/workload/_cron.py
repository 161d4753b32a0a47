"""What a clock in workload.yaml may say, as far as one can tell without Airflow."""

from __future__ import annotations

import re

_CRON = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "weekday": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def five_fields(cron: str | None) -> str | None:
    """A cron that has five fields, each within its range, and that some day of some year fits.

    What only some crons know (`L`, `#`, `W`) is left to Airflow.
    """
    if cron is None or cron.startswith("@"):
        return cron
    fields = cron.split()
    if len(fields) != 5:
        raise ValueError(f"cron needs five fields (minute hour day month weekday). Received: {cron!r}")
    values = {}
    for text, (name, least, most) in zip(fields, _CRON, strict=True):
        values[name] = _cron_values(text, name, least, most)
        if values[name] == set():
            raise ValueError(f"cron: {text!r} is no {name} ({least} to {most}). Received: {cron!r}")
    days, months = values["day"], values["month"]
    if fields[4] in ("*", "?") and days and months and not any(day <= _LONGEST[m - 1] for day in days for m in months):
        raise ValueError(f"cron: no month that is named has such a day, so it would never run. Received: {cron!r}")
    return cron


def _cron_values(text: str, name: str, least: int, most: int) -> set[int] | None:
    """The values that a field of a cron stands for; none where it is wrong, None where it is beyond this reader."""
    found: set[int] = set()
    for part in text.lower().split(","):
        for at, known in enumerate(_NAMES.get(name, ())):
            part = re.sub(rf"\b{known}\b", str(at + least), part)
        match = re.fullmatch(r"(\*|(\d{1,4})(?:-(\d{1,4}))?)(?:/(\d{1,4}))?", part, re.ASCII)
        if match is None:
            return None
        first = least if match[2] is None else int(match[2])
        last = int(match[3]) if match[3] else most if match[2] is None or match[4] else first
        step = int(match[4] or 1)
        if step < 1 or first < least or last > most or (first > last and name != "weekday"):
            return set()
        found |= set(range(first, last + 1, step)) or {first}
    return found
