"""What ingestion does with a unit of work: reads its rows, splits them, and writes its own shards."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from components.columnar import ExamplesWriter
from components.ingestion import sources
from components.ingestion.bad_rows import BadRow
from components.ingestion.contract import Column
from components.ingestion.images import read_images
from components.ingestion.labels import labelled
from components.ingestion.parts import Unit
from components.ingestion.quarantine import QUARANTINE_FILE, BadRowWriter
from components.ingestion.readers import read_file
from components.ingestion.rows import read_rows
from components.ingestion.splitting import Counted, Splitter, count_values, counted_column
from components.ingestion.work import Work
from spec.splits import SPLITS
from spec.workload import Ingestion


@dataclasses.dataclass(frozen=True)
class Written:
    """What one unit has written.

    Attributes:
        span: the place of its span in the window.
        counts: rows by split.
        shards: files by split, in the order of their rows; empty if there are none.
        unlabelled: rows without a label, which were left out.
        side_file: where the rows are that did not fit; None: there are none.
        by_column: how many of them in which column.
    """

    span: int
    counts: dict[str, int]
    shards: dict[str, list[str]]
    unlabelled: int
    bad: int
    side_file: str | None
    first: str
    examples: list[dict[str, Any]]
    by_column: dict[str, int]


class WriteUnits(Work):
    """Reads units and writes the shards of each into a new folder below `staging`, also when a unit is done again."""

    def __init__(self, config: Ingestion, columns: list[Column], splitter: Splitter, staging: pathlib.Path) -> None:
        self._config, self._columns, self._splitter, self._staging = config, columns, splitter, staging

    def do(self, unit: Unit) -> Written:
        folder = self._staging / f"{unit.number:06d}-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        schema = pa.schema([(c.name, c.type) for c in self._columns if c.name != self._config.split.column])
        side_file = folder / QUARANTINE_FILE
        unlabelled = 0
        with contextlib.ExitStack() as stack:
            writers = {split: stack.enter_context(ExamplesWriter(folder, split, schema)) for split in SPLITS}
            aside = stack.enter_context(BadRowWriter(side_file))
            for batch in read_unit(unit, self._config, self._columns, self._config.ignore, folder, aside):
                batch, without = _labelled(batch, self._config)
                unlabelled += without
                places = self._splitter.places(batch)
                features = batch.select(schema.names)
                for place, split in enumerate(SPLITS):
                    writers[split].write(features.filter(pa.array(places == place)))
        shards = {split: [str(path) for path in one.shards] for split, one in writers.items()}
        return Written(
            span=unit.span,
            counts={split: one.rows for split, one in writers.items()},
            shards=shards,
            unlabelled=unlabelled,
            bad=aside.rows,
            side_file=str(side_file) if aside.rows else None,
            first=aside.first,
            examples=aside.examples,
            by_column=dict(aside.by_column),
        )


class CountValues(Work):
    """Counts the values of the column that the split goes by."""

    def __init__(self, config: Ingestion, columns: list[Column], staging: pathlib.Path) -> None:
        self._config, self._staging = config, staging
        # Labels tend to arrive later than rows: if rows without a label are dropped, test is the newest of those that have one.
        names = {counted_column(config.split)}
        if config.label and config.label.drop_unlabelled:
            names.add(config.label.column)
        self._columns = [column for column in columns if column.name in names]

    def do(self, unit: Unit) -> Counted:
        self._staging.mkdir(parents=True, exist_ok=True)
        name = counted_column(self._config.split)
        assert name is not None
        batches = read_unit(unit, self._config, self._columns, None, self._staging)
        return count_values(self._config.split, (_labelled(batch, self._config)[0].column(name) for batch in batches))


def _labelled(batch: pa.RecordBatch, config: Ingestion) -> tuple[pa.RecordBatch, int]:
    """The rows to use, and how many are left out because they have no label."""
    label = config.label
    if label is None or not label.drop_unlabelled or label.column not in batch.schema.names:
        return batch, 0
    kept = batch.filter(labelled(batch.column(label.column)))
    return kept, batch.num_rows - kept.num_rows


def read_unit(
    unit: Unit,
    config: Ingestion,
    columns: list[Column],
    ignore: tuple[str, ...] | None,
    scratch: pathlib.Path,
    aside: BadRowWriter | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows of a unit that fit; with `on_bad_rows: fail` the first one that does not is an InputError.

    Args:
        ignore: columns that may be there too; None: any.
        scratch: where copies of remote files may lie.
        aside: takes the rows that do not fit.
    """
    if config.format == "images":
        yield from _read_images(unit, columns, aside)
        return
    for piece in unit.pieces:
        with sources.local_copy(piece.url, scratch) as path:
            if config.on_bad_rows == "fail":
                yield from read_file(path, config.format, columns, ignore, piece.part, config.read)
                continue
            for rows in read_rows(path, config.format, columns, ignore, piece.part, config.read):
                if aside is not None:
                    aside.write(piece.url.removeprefix("file://"), rows.bad)
                yield rows.batch


def _read_images(unit: Unit, columns: list[Column], aside: BadRowWriter | None) -> Iterator[pa.RecordBatch]:
    """Unusable images are always set aside, because the executor reports all of them together."""
    files = [piece.url for piece in unit.pieces]
    for rows in read_images(files, columns):
        if aside is not None:
            for one in rows.bad:
                aside.write(files[one.row - 1].removeprefix("file://"), (BadRow(1, one.column, one.reason),))
        yield rows.batch
