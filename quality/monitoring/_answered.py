"""The answers of the model server's record, each with the label that came for it later."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from quality.monitoring._feedback import LABEL, REQUEST, ROW, read_labels
from quality.monitoring._requests import recorded_rows

MOST_ROWS = 500_000
"""How many of the newest recorded rows to read: bounds memory."""

Key = tuple[str, int]


@dataclasses.dataclass
class Answered:
    """What one version answered within the window.

    Attributes:
        rows: that it answered, with or without a label; of a request that was asked twice under one id the newest answer alone.
        answers: by row with a label, what the server recorded of the judged output.
        labels: the same rows' labels, as they are kept.
    """

    rows: int = 0
    answers: list[Any] = dataclasses.field(default_factory=list)
    labels: list[Any] = dataclasses.field(default_factory=list)


def answered_rows(
    record: pathlib.Path, model: str, since: datetime.datetime, output_of: Callable[[int], str]
) -> Mapping[int, Answered]:
    """By version, the recorded rows since then and the labels that are known of them.

    Args:
        output_of: version -> the output that is judged.

    Raises:
        InputError: there is no record of the model.
    """
    newest: dict[Key, tuple[str, int, Any]] = {}
    for row in _with_ids(recorded_rows(record, model, since)):
        key, at = (row["request_id"], row["row"]), row["at"]
        if key not in newest or newest[key][0] < at:
            newest[key] = (at, row["version"], row["prediction"].get(output_of(row["version"])))
        if len(newest) >= MOST_ROWS:
            break
    labels = _labels_of(newest, read_labels(record, model))
    found: dict[int, Answered] = {}
    for key, (_, version, answer) in newest.items():
        one = found.setdefault(version, Answered())
        one.rows += 1
        if key in labels and answer is not None:
            one.answers.append(answer)
            one.labels.append(labels[key])
    return found


def _with_ids(rows: Iterator[dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """Rows that a label can be about: those of a server from before there were ids are left out."""
    return (row for row in rows if row and isinstance(row.get("request_id"), str) and isinstance(row.get("row"), int))


def _labels_of(keys: Mapping[Key, object], labels: pa.Table) -> dict[Key, Any]:
    wanted: Sequence[str] = list({request for request, _ in keys})
    met = labels.filter(pc.is_in(labels.column(REQUEST).cast(pa.string()), value_set=pa.array(wanted, pa.string())))
    places = zip(met.column(REQUEST).to_pylist(), met.column(ROW).to_pylist(), strict=True)
    return dict(zip(places, met.column(LABEL).to_pylist(), strict=True))
