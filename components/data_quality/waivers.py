"""Waivers: failures that somebody has agreed to live with, until a day. `schemas/<workload>/waivers.yaml`, reviewed like code.

    waivers:
      - expectation: expect_column_values_to_not_be_null
        column: company
        spans: 12-14
        reason: The new taximeters send no company before the update of December.
        owner: fleet-data
        expires: 2026-12-31

Imports no Great Expectations: a run asks which waivers are in force before it loads anything heavy.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import yaml

from components.gates import CheckResult, Severity
from spec.errors import InputError
from spec.words import one_line

FILE_NAME = "waivers.yaml"
GUIDE = "docs/guides/data-quality.md"
_REQUIRED = ("reason", "owner", "expires")
_KNOWN = ("expectation", "column", "id", "spans", *_REQUIRED)


@dataclasses.dataclass(frozen=True)
class Waiver:
    """One of them.

    Attributes:
        place: file and position, for messages.
        expectation: GX's type; None where `id` says which.
        column: the column that it looks at, or several as `a, b`; None: any, or none.
        spans: first and last span, both included; None: all.
        owner: who has agreed.
        expires: the last day on which it holds (UTC).
    """

    place: str
    expectation: str | None
    column: str | None
    id: str | None
    spans: tuple[int, int] | None
    reason: str
    owner: str
    expires: datetime.date

    def in_force(self, today: datetime.date) -> bool:
        return today <= self.expires

    def speaks_of(self, check: CheckResult, span: int | None) -> bool:
        """Whether a check of the gate is the one that it waives, on a span."""
        found = check.diagnostics
        if self.spans is not None and (span is None or not self.spans[0] <= span <= self.spans[1]):
            return False
        if self.id is not None:
            return bool(found.get("id") == self.id)
        columns = found.get("columns") or []
        return found.get("expectation") == self.expectation and (
            self.column is None or [one.strip() for one in self.column.split(",")] == list(columns)
        )

    def words(self) -> str:
        """Who, until when and why, for a person."""
        return f"waived by {self.owner} until {self.expires.isoformat()}: {self.reason}"


def beside(suite_file: str | os.PathLike[str]) -> pathlib.Path:
    """Where the waivers of a suite stand."""
    return pathlib.Path(suite_file).with_name(FILE_NAME)


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def read_waivers(path: str | os.PathLike[str]) -> tuple[Waiver, ...]:
    """The waivers of a file; none where there is no file.

    Raises:
        InputError: the file is malformed; names the field.
    """
    path = pathlib.Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {one_line(error, 300)}") from None
    if raw is None:
        return ()
    if not isinstance(raw, dict) or set(raw) != {"waivers"} or not isinstance(raw["waivers"] or [], list):
        raise InputError(f"{path}: expected `waivers:` and a list below it ({GUIDE} has an example).")
    return tuple(_waiver(one, f"{path}, waivers[{number}]") for number, one in enumerate(raw["waivers"] or []))


def digest(path: str | os.PathLike[str], day: datetime.date | None = None) -> str:
    """SHA-256 over the waivers in force on a day; another day may make another one. Empty where there are none.

    Raises:
        InputError: the file is malformed.
    """
    held = [one for one in read_waivers(path) if one.in_force(day or today())]
    if not held:
        return ""
    return hashlib.sha256(json.dumps([dataclasses.asdict(one) for one in held], default=str).encode()).hexdigest()


def apply(
    checks: Sequence[CheckResult], waivers: Sequence[Waiver], span: int | None, day: datetime.date
) -> tuple[CheckResult, ...]:
    """The checks with what was waived: a failure that a waiver in force speaks of no longer stops the run.

    It stays a failed check, of severity info, and says who waived it; `waived_severity` keeps what it would have been. A
    waiver that has expired is named beside the failure that it no longer forgives, and one that speaks of no expectation of
    the suite is a warning of its own.
    """
    judged = [_judge(check, waivers, span, day) for check in checks]
    idle = [one for one in waivers if not any(dataclasses.replace(one, spans=None).speaks_of(c, None) for c in checks)]
    return (*judged, *(_idle(one) for one in idle))


def _judge(check: CheckResult, waivers: Sequence[Waiver], span: int | None, day: datetime.date) -> CheckResult:
    if check.passes:
        return check
    speaking = [one for one in waivers if one.speaks_of(check, span)]
    held = next((one for one in speaking if one.in_force(day)), None)
    if held is not None:
        found = {**check.diagnostics, "waiver": held.words(), "waived_severity": check.severity.value}
        message = f"{check.message.rstrip('.')}. It is {held.words()}"
        return dataclasses.replace(check, severity=Severity.INFO, message=message, diagnostics=found)
    if speaking:
        ended = speaking[0]
        message = f"{check.message.rstrip('.')}. Its waiver by {ended.owner} expired on {ended.expires.isoformat()}"
        return dataclasses.replace(check, message=message)
    return check


def _idle(waiver: Waiver) -> CheckResult:
    what = f"id {waiver.id}" if waiver.id else f"{waiver.expectation}({waiver.column or ''})"
    return CheckResult(
        name=f"waiver({what})",
        passes=False,
        severity=Severity.WARNING,
        message=f"{waiver.place}: no expectation of the suite is {what}. Mend it, or remove the waiver.",
    )


def _waiver(one: Any, place: str) -> Waiver:
    if not isinstance(one, dict):
        raise InputError(f"{place}: expected fields such as `expectation:` and `expires:`. Received: {one!r}.")
    for field in one:
        if field not in _KNOWN:
            raise InputError(f"{place}.{field}: there is no such field. Known: {', '.join(_KNOWN)}.")
    for field in _REQUIRED:
        if one.get(field) in (None, ""):
            raise InputError(f"{place}.{field}: is required and missing ({GUIDE} has an example).")
    if (one.get("expectation") is None) == (one.get("id") is None):
        raise InputError(f"{place}.expectation: say which by its type (and column), or by `id`; one of the two.")
    if one.get("id") is not None and one.get("column") is not None:
        raise InputError(f"{place}.column: `id` says which expectation; remove one of the two.")
    for field in ("expectation", "column", "id", "reason", "owner"):
        if one.get(field) is not None and not isinstance(one[field], str):
            raise InputError(f"{place}.{field}: must be text. Received: {one[field]!r}.")
    return Waiver(
        place=place,
        expectation=one.get("expectation"),
        column=one.get("column"),
        id=one.get("id"),
        spans=_spans(one.get("spans"), place),
        reason=one_line(one["reason"]),
        owner=one["owner"].strip(),
        expires=_date(one["expires"], place),
    )


def _date(value: Any, place: str) -> datetime.date:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.date.fromisoformat(str(value))
    except ValueError:
        raise InputError(f"{place}.expires: must be a day such as 2026-12-31. Received: {str(value)!r}.") from None


def _spans(value: Any, place: str) -> tuple[int, int] | None:
    """A number, or `first-last`."""
    if value is None:
        return None
    first, _, last = str(value).partition("-")
    if isinstance(value, bool) or not first.strip().isdigit() or not (last or first).strip().isdigit():
        raise InputError(f"{place}.spans: must be a span such as 12, or a range such as 12-14. Received: {value!r}.")
    bounds = int(first), int(last or first)
    if bounds[0] > bounds[1]:
        raise InputError(f"{place}.spans: the first must not be above the last. Received: {value!r}.")
    return bounds
