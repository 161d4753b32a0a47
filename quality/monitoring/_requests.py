"""Reads the model server's record of requests: JSON lines in segments, `<folder>/<model>/<time>-<pid>.jsonl`.

A line is one row: `{"at", "request_id", "row", "model", "version", "label", "columns": {...}, "prediction": {...}}`
(docs/guides/serving.md).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from components.drift.distributions import Categories, Distribution, categories, numbers
from components.drift.profile import Profile
from spec.errors import InputError

MOST_ROWS = 100_000
"""How many of the newest rows to read: more would not change the distribution."""


@dataclasses.dataclass(frozen=True)
class Requests:
    """Recorded rows of one version.

    Attributes:
        columns: values by raw feature, in JSON's types; None if a row had none. A row in which a column was not
            recorded adds nothing to it.
        predictions: values by output.
        first: when the oldest request came, ISO 8601; empty if there are no rows.
        versions: rows by version, including other versions that were met.
        unreadable: lines that are not records: cut off by a killed server, or not the server's.
    """

    columns: Mapping[str, list[Any]]
    predictions: Mapping[str, list[Any]]
    rows: int
    first: str
    last: str
    versions: Mapping[int, int]
    unreadable: int


def read_requests(
    folder: pathlib.Path, model: str, version: int, since: datetime.datetime | None = None, most_rows: int = MOST_ROWS
) -> Requests:
    """The newest recorded rows that a version answered.

    Args:
        folder: the model server's `--record`.
        most_rows: bounds memory.

    Raises:
        InputError: there is no record of the model.
    """
    columns: dict[str, list[Any]] = {}
    predictions: dict[str, list[Any]] = {}
    versions: dict[int, int] = {}
    times: list[str] = []
    unreadable = 0
    for row in recorded_rows(folder, model, since):
        if row is None:
            unreadable += 1
            continue
        versions[row["version"]] = versions.get(row["version"], 0) + 1
        if row["version"] != version:
            continue
        times.append(row["at"])
        for values, into in ((row["columns"], columns), (row["prediction"], predictions)):
            for name, value in values.items():
                into.setdefault(name, []).append(value)
        if len(times) >= most_rows:
            break
    return Requests(
        columns, predictions, len(times), min(times, default=""), max(times, default=""), versions, unreadable
    )


def recorded_rows(
    folder: pathlib.Path, model: str, since: datetime.datetime | None = None
) -> Iterator[dict[str, Any] | None]:
    """Recorded rows, newest first; None for a line that is not a record.

    Raises:
        InputError: there is no record of the model.
    """
    segments = sorted((folder / model).glob("*.jsonl"), reverse=True)
    if not segments:
        raise InputError(
            f"{folder / model}: there is no record of requests. Start the model server with `--record {folder}`, or name its "
            "folder with --record."
        )
    for path in segments:
        try:
            # A segment's name says when it was begun: one of another server, begun earlier, may hold newer rows.
            if since is not None and path.stat().st_mtime < since.timestamp():
                continue
            lines = path.read_bytes().splitlines()
        except (FileNotFoundError, IsADirectoryError):  # the server has just deleted it, or it is not a segment
            continue
        for line in reversed(lines):
            row = _row(line)
            if row is None or since is None or datetime.datetime.fromisoformat(row["at"]) >= since:
                yield row


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
        at = datetime.datetime.fromisoformat(row["at"])
        whole = isinstance(row["columns"], dict) and isinstance(row["prediction"], dict) and at.tzinfo is not None
        return row if whole and isinstance(row["version"], int) else None
    except (ValueError, KeyError, TypeError):
        return None


def requests_profile(name: str, values: Mapping[str, list[Any]], rows: int, reference: Profile) -> Profile:
    """The distributions of recorded values, described in the reference's terms.

    Args:
        name: of the data, in words.
        reference: what they will be compared with; columns that it lacks, and vectors, are skipped.
    """
    described = {}
    for column, known in reference.distributions[""].items():
        if column in values and (found := _distribution(values[column], known)) is not None:
            described[column] = found
    return Profile(name, {"": rows}, {"": described})


def _distribution(values: list[Any], reference: Distribution) -> Distribution | None:
    plain = [_decoded(value) for value in values]
    if any(isinstance(value, list | dict) for value in plain):
        return None
    if isinstance(reference, Categories):
        return categories(pa.array([None if v is None else _name(v) for v in plain], pa.large_string()))
    figures = np.asarray([np.nan if v is None else _figure(v) for v in plain], np.float64)
    known = reference.values
    # Numbers that were stored in single precision, where 12.45 is 12.449999809: both sides must be rounded alike.
    if len(known) and np.array_equal(known.astype(np.float32).astype(np.float64), known):
        figures = figures.astype(np.float32).astype(np.float64)
    return numbers(pa.array(figures))


def _decoded(value: Any) -> Any:
    """Decodes bytes that are not text, which are recorded as base64."""
    if isinstance(value, dict) and set(value) == {"b64"}:
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            return value
    return value


def _name(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _figure(value: Any) -> float:
    """A value as a number; free text as its length in bytes, like in the reference."""
    if isinstance(value, str):
        return float(len(value.encode("utf-8", "surrogatepass")))
    return float(len(value)) if isinstance(value, bytes) else float(value)
