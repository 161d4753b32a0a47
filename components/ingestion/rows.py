"""Reads files into RecordBatches and sets rows aside that do not fit, instead of failing.

A file is read strictly first (`readers.read_file`), which costs nothing extra. If that fails, the file is read again, with values
as text that are converted column by column; where a conversion fails, the batch is halved until the bad rows are found. So good
data costs nothing, and a bad row a few more conversions.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.ingestion import json_files, readers
from components.ingestion.bad_rows import BadRow, ReadRows
from components.ingestion.contract import Column, check_header, columns_as_read
from components.ingestion.csv_files import too_long
from components.ingestion.parts import WHOLE, Part
from components.ingestion.readers import DataFile
from components.ingestion.tfrecord import read_tfrecord
from spec.errors import InputError
from spec.words import one_line
from spec.workload import PLAIN, Read

_CONTENT_CHARACTERS = 2000
_MOST_LINES = 100


def read_rows(
    path: pathlib.Path,
    format: str,
    columns: Sequence[Column],
    ignore: Collection[str] | None,
    part: Part = WHOLE,
    reading: Read = PLAIN,
) -> Iterator[ReadRows]:
    """Yields a file's rows, each either in a batch or among the bad ones.

    Args:
        format: csv, xlsx, parquet, jsonl, json or tfrecord.
        columns: what the batches have, in this order.
        ignore: columns that may be there too; None: any.
        part: which rows of a Parquet or JSON-lines file; default: all. Numbers are those in the whole file.

    Raises:
        InputError: the file as a whole cannot be read, or lacks a column.
    """
    read = part.first_row
    try:
        for rows in _numbered(readers.read_file(path, format, columns, ignore, part, reading), part):
            yield rows
            read += rows.batch.num_rows
        return
    except InputError as error:
        first_problem = error
    found = False
    for rows in _apart(path, format, columns_as_read(columns, reading), ignore, part, reading):
        fresh = rows.numbers > read  # rows that the strict reader has yielded are not yielded again
        bad = tuple(one for one in rows.bad if one.row > read)
        found = found or bool(bad)
        yield ReadRows(rows.batch.filter(pa.array(fresh)), rows.numbers[fresh], bad)
    if not found:
        raise first_problem  # no single row is wrong, so the file is


def _apart(
    path: pathlib.Path,
    format: str,
    columns: list[Column],
    ignore: Collection[str] | None,
    part: Part,
    reading: Read,
) -> Iterator[ReadRows]:
    with readers.opened(path, format, reading) as file:
        try:
            for raw in _READERS[file.kind](file, columns, ignore, part):
                rows, wrong = raw if isinstance(raw, tuple) else (raw, {})
                yield _conform(file, rows, columns, wrong)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            unread = InputError(f"cannot be read: {one_line(error, 300)}. Deliver the file again.", file=path)
            raise (too_long(path, error) or unread) from error


def _read_csv(file: DataFile, columns: list[Column], ignore: Collection[str] | None, part: Part) -> Iterator[ReadRows]:
    csv = file.csv()
    check_header(file.path, csv.names, columns, ignore)
    ragged: list[BadRow] = []
    unclosed: list[InputError] = []

    def set_aside(row: Any) -> str:
        if (lines := row.text.count("\n")) > _MOST_LINES:
            problem = f"runs over {lines} lines, so a quote is opened and never closed. Close it, or remove it."
            unclosed.append(csv.error(problem, csv.row(row.number)))
        reason = f"{row.expected_columns} columns expected. Received: {row.actual_columns}"
        ragged.append(BadRow(csv.row(row.number), None, reason, row.text[:_CONTENT_CHARACTERS]))
        return "skip"

    as_bytes = [dataclasses.replace(c, type=pa.binary()) for c in csv.among(columns)]
    done = 0
    for batch in csv.batches(as_bytes, threads=False, on_ragged=set_aside):
        _insist_on_closed_quotes(unclosed)
        # Arrow omits ragged rows, whose numbers the other rows must not get.
        last = done + batch.num_rows + len(ragged)
        numbers = np.setdiff1d(np.arange(done + 1, last + 1), [b.row for b in ragged])[: batch.num_rows]
        done = int(numbers[-1]) if batch.num_rows else done
        passed = tuple(b for b in ragged if b.row <= done)
        ragged[:] = [b for b in ragged if b.row > done]
        yield ReadRows(batch, numbers, passed)
    _insist_on_closed_quotes(unclosed)
    yield _only(ragged, as_bytes)


def _insist_on_closed_quotes(unclosed: list[InputError]) -> None:
    # An unclosed quote swallows hundreds of good rows: counting them as one bad row would hide the loss.
    if unclosed:
        raise unclosed[0]


def _numbered(batches: Iterator[pa.RecordBatch], part: Part) -> Iterator[ReadRows]:
    done = part.first_row
    for batch in batches:
        yield ReadRows(batch, np.arange(done + 1, done + 1 + batch.num_rows))
        done += batch.num_rows


def _read_jsonl(
    file: DataFile, columns: list[Column], ignore: Collection[str] | None, part: Part
) -> Iterator[ReadRows]:
    done = part.first_row
    for block in json_files.json_blocks(file.path, part):
        lines = [line + b"\n" for line in block.split(b"\n") if line.strip()]
        yield from _parse_lines(file.path, lines, np.arange(done + 1, done + 1 + len(lines)), columns, ignore)
        done += len(lines)


_READERS: dict[str, Callable[..., Iterator[Any]]] = {
    "csv": _read_csv,
    "parquet": lambda file, columns, ignore, part: _numbered(readers.read_parquet(file, columns, ignore, part), part),
    "jsonl": _read_jsonl,
    "tfrecord": lambda file, columns, ignore, part: read_tfrecord(file.path, columns, ignore),
}


def _parse_lines(
    path: pathlib.Path,
    lines: list[bytes],
    numbers: npt.NDArray[np.int64],
    columns: list[Column],
    ignore: Collection[str] | None,
) -> Iterator[ReadRows]:
    try:
        table = json_files.parse_json(path, b"".join(lines), columns, ignore)
        if table.num_rows != len(lines):
            raise pa.ArrowInvalid(f"{len(lines)} JSON objects expected. Received: {table.num_rows}")
    except (pa.ArrowInvalid, json.JSONDecodeError) as error:
        if len(lines) == 1:
            reason = json_files.json_reason(str(error))[:300]
            named = re.search(r"Column\(/([^)/]+)", reason)
            content = lines[0].decode("utf-8", "replace").rstrip("\n")[:_CONTENT_CHARACTERS]
            bad = BadRow(int(numbers[0]), named[1] if named else None, reason, content)
            yield _only([bad], columns)
            return
        half = len(lines) // 2
        yield from _parse_lines(path, lines[:half], numbers[:half], columns, ignore)
        yield from _parse_lines(path, lines[half:], numbers[half:], columns, ignore)
        return
    for batch in table.combine_chunks().to_batches():
        yield ReadRows(batch, numbers)


def _conform(
    file: DataFile, raw: ReadRows, columns: Sequence[Column], wrong_already: dict[int, tuple[str, str]]
) -> ReadRows:
    """The rows of a raw batch that fit the columns, and those that do not."""
    arrays, problems = [], dict(wrong_already)
    present = set(raw.batch.schema.names)
    for column in columns:
        if column.name not in present:
            array = pa.nulls(raw.batch.num_rows, column.type)
        else:
            array, wrong = _convert(file, raw.batch.column(column.name), column)
            for index, reason in wrong.items():
                problems.setdefault(index, (column.name, reason))
        arrays.append(array)
    for column, without in readers.lacking(arrays, columns):
        for missing in np.flatnonzero(without):
            problems.setdefault(int(missing), (column.name, "has no value, and one is required"))
    batch = pa.RecordBatch.from_arrays(arrays, names=[c.name for c in columns])
    if not problems:
        return ReadRows(batch, raw.numbers, raw.bad)
    fits = np.ones(batch.num_rows, dtype=bool)
    fits[list(problems)] = False
    bad = [BadRow(int(raw.numbers[i]), column, reason) for i, (column, reason) in problems.items()]
    return ReadRows(
        batch.filter(pa.array(fits)), raw.numbers[fits], tuple(sorted([*raw.bad, *bad], key=lambda one: one.row))
    )


def _convert(file: DataFile, array: pa.Array, column: Column) -> tuple[pa.Array, dict[int, str]]:
    wrong: dict[int, str] = {}
    if file.kind == "csv" and readers.has_zero_byte(array):
        zeros = pc.fill_null(pc.match_substring(array, "\0"), False)
        wrong.update(dict.fromkeys(np.flatnonzero(zeros.to_numpy(zero_copy_only=False)).tolist(), "holds a zero byte"))
    if pa.types.is_binary(array.type) and not pa.types.is_binary(column.type):
        array = _by_halves(array, pa.string(), lambda a: a.cast(pa.string()), wrong, "is not UTF-8 text")
    try:
        expected = f"is not of the type {column.expected}"
        array = _by_halves(array, column.type, lambda a: readers.to_type(a, column), wrong, expected)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:  # no value of this type can be converted
        raise InputError(
            f"must be {column.type}. Received: {str(array.type)[:100]} ({one_line(error, 300)}).",
            file=file.path,
            column=column.name,
        ) from None
    return array, wrong


def _by_halves(
    array: pa.Array, kind: pa.DataType, convert: Callable[[pa.Array], pa.Array], wrong: dict[int, str], what: str
) -> pa.Array:
    """Converts an array; values that do not convert become null and are noted in `wrong` by their index."""

    def part(values: pa.Array, first: int) -> list[pa.Array]:
        try:
            return [convert(values)]
        except pa.ArrowInvalid:
            if len(values) == 1:
                wrong.setdefault(first, f"{what}. Received: {str(values[0].as_py())[:100]!r}")
                return [pa.nulls(1, kind)]
        half = len(values) // 2
        return part(values[:half], first) + part(values[half:], first + half)

    return pa.concat_arrays(part(array, 0))


def _only(bad: Sequence[BadRow], columns: Sequence[Column]) -> ReadRows:
    nothing = pa.RecordBatch.from_pydict({column.name: pa.array([], column.type) for column in columns})
    return ReadRows(nothing, np.empty(0, np.int64), tuple(bad))
