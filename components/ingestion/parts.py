"""Dividing files into independent units of work, which workers can do, and do again if one is lost."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

import storage
from components.ingestion.plain_files import is_plain
from spec.workload import PLAIN, Read

UNIT_BYTES = 64 * 2**20
_MOST_PIECES = 1024  # one unit with all of many small files would leave other workers idle


@dataclasses.dataclass(frozen=True)
class Part:
    """What to read of a file; default: all of it.

    Attributes:
        groups: row groups of a Parquet file; empty: all.
        start: of a JSON-lines file: the byte at which the first line begins.
        end: where the last one ends; None: the end of the file.
        first_row: rows of the file that come before the part.
    """

    groups: tuple[int, ...] = ()
    start: int = 0
    end: int | None = None
    first_row: int = 0


WHOLE = Part()


@dataclasses.dataclass(frozen=True)
class Piece:
    """A file, or part of one."""

    url: str
    part: Part = WHOLE


@dataclasses.dataclass(frozen=True)
class Unit:
    """Pieces that one worker reads, one after the other.

    Attributes:
        number: of the unit; rows keep the order of the units.
        span: the place of its span in the window.
        pieces: several small files, one file, or part of a large one.
        size_bytes: of what they hold; of Parquet's parts uncompressed, else as the file lies there.
    """

    number: int
    span: int
    pieces: tuple[Piece, ...]
    size_bytes: int = 0


def plan(spans: Sequence[Sequence[str]], format: str, reading: Read = PLAIN) -> list[Unit]:
    """The units of a window's files, in the order of the files. The same files always give the same units.

    Small files come together. A Parquet file is divided by row groups and a JSON-lines file by lines where it lies in a local
    folder; other files stay whole: a CSV's newline may be part of a quoted value, a TFRecord's place is known only to whoever
    has read what is ahead of it, and a remote file is copied for each unit that reads of it.
    """
    units: list[Unit] = []
    for span, files in enumerate(spans):
        for pieces, size in _together(files, format, reading):
            units.append(Unit(len(units), span, pieces, size))
    return units


def _together(files: Sequence[str], format: str, reading: Read) -> Iterator[tuple[tuple[Piece, ...], int]]:
    pieces: list[Piece] = []
    total = 0
    for url in files:
        for piece, size in _pieces(url, format, reading):
            if pieces and (total + size > UNIT_BYTES or len(pieces) >= _MOST_PIECES):
                yield tuple(pieces), total
                pieces, total = [], 0
            pieces.append(piece)
            total += size
    if pieces:
        yield tuple(pieces), total


def _pieces(url: str, format: str, reading: Read) -> Iterator[tuple[Piece, int]]:
    filesystem, path = storage.filesystem(url)
    size = int(filesystem.size(path) or 0)
    if size > UNIT_BYTES and storage.is_on_disk(filesystem):
        if format == "parquet":
            yield from _row_groups(url, pathlib.Path(path), size)
            return
        if format == "jsonl" and is_plain(pathlib.Path(path), format, reading):
            yield from _lines(url, pathlib.Path(path))
            return
    yield Piece(url), size


def _row_groups(url: str, path: pathlib.Path, size: int) -> Iterator[tuple[Piece, int]]:
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        yield Piece(url), size  # the reader says what is wrong with it
        return
    groups: list[int] = []
    total = rows = first_row = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if groups and total + group.total_byte_size > UNIT_BYTES:
            yield Piece(url, Part(tuple(groups), first_row=first_row)), total
            first_row, groups, total, rows = first_row + rows, [], 0, 0
        groups.append(number)
        total, rows = total + group.total_byte_size, rows + group.num_rows
    yield Piece(url, Part(tuple(groups), first_row=first_row)), total


def _lines(url: str, path: pathlib.Path) -> Iterator[tuple[Piece, int]]:
    """Ranges of whole lines. Rows are numbered through the file, so those ahead of a range are counted."""
    start = first_row = 0
    last = os.path.getsize(path)  # noqa: PTH202
    with path.open("rb") as file:
        while start < last:
            block = file.read(UNIT_BYTES) + file.readline()
            end = start + len(block)
            yield Piece(url, Part(start=start, end=end, first_row=first_row)), len(block)
            first_row += sum(1 for line in block.split(b"\n") if line.strip())
            start = end
