"""Data files of a new workload as one Arrow table, with every column's own type."""

from __future__ import annotations

import difflib
import json
import pathlib
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

import storage
from components.ingestion.arrow_types import plain
from components.ingestion.plain_files import format_of, known_endings
from components.ingestion.readers import DataFile, opened
from components.ingestion.sources import check_names
from landing import glob
from pipelines.scaffold.images import find_images
from pipelines.scaffold.numberish import to_numbers
from spec.errors import InputError
from spec.words import one_line
from spec.workload import PLAIN, Read

FORMATS = ("csv", "xlsx", "parquet", "jsonl", "json")
_BLOCK_BYTES = 8 * 2**20


def find_files(pattern: str) -> tuple[list[pathlib.Path], str]:
    """The files of a path or glob pattern, and their format.

    Raises:
        InputError: there are none, they differ in format, or the format is unknown.
    """
    name = pathlib.Path(pattern).expanduser().absolute()
    found = glob(storage.filesystem("/")[0], str(name))
    check_names(found)
    if name.is_dir():
        if images := find_images(name):
            check_names(map(str, images))
            return images, "images"
        raise InputError(
            f"--data {pattern}: is a folder without class folders of images. For tables give a file, or a glob pattern in quotes "
            f"such as '{pattern.rstrip('/')}/*.csv'."
        )
    files = [path for path in map(pathlib.Path, found) if path.is_file()]
    if not files:
        raise InputError(f"--data {pattern}: there is no such file. Give a path or a glob pattern in quotes.")
    formats = {format_of(path.name) or "" for path in files}
    if odd := next((path for path in files if format_of(path.name) not in FORMATS), None):
        raise InputError(f"{odd}: the name must end in {known_endings()}. Received: {odd.suffix or 'no ending'}.")
    if len(formats) > 1:
        raise InputError(f"--data {pattern}: all files must have one format. Received: {', '.join(sorted(formats))}.")
    return files, formats.pop()


def read_files(
    files: Sequence[pathlib.Path], format: str, as_text: Sequence[str] = (), reading: Read = PLAIN
) -> pa.Table:
    """Reads files into one table.

    Args:
        format: csv, xlsx, parquet, jsonl or json.
        as_text: columns to read as the text that stands in the file.

    Raises:
        InputError: names the file and, where it can, the row and the column.
    """
    tables = [_read(path, format, as_text, reading) for path in files]
    for path, table in zip(files, tables, strict=True):
        if table.column_names != tables[0].column_names and set(table.column_names) != set(tables[0].column_names):
            odd = sorted(set(table.column_names) ^ set(tables[0].column_names))
            raise InputError(
                f"its columns differ from those of {files[0]}: {', '.join(map(repr, odd[:5]))}.", file=path
            )
    try:
        aligned = [table.select(tables[0].column_names) for table in tables]
        whole = pa.concat_tables(aligned, promote_options="permissive").combine_chunks()
    except pa.ArrowTypeError as error:
        raise InputError(f"--data: the files disagree on a column's type: {_line(error)}.") from None
    return pa.table({name: _missing_as_null(whole.column(name), reading.missing(name)) for name in whole.column_names})


def _read(path: pathlib.Path, format: str, as_text: Sequence[str], reading: Read) -> pa.Table:
    if format == "parquet":
        return _read_parquet(path, as_text)
    with opened(path, format, reading) as file:
        return _read_csv(file, as_text) if file.kind == "csv" else _read_jsonl(file.path, as_text, reading)


def _missing_as_null(column: pa.ChunkedArray, words: Sequence[str]) -> pa.ChunkedArray:
    if not pa.types.is_nested(column.type):
        column = pa.chunked_array([plain(chunk) for chunk in column.chunks] or [pa.array([], column.type)])
    if pa.types.is_decimal(column.type) and column.type.scale <= 0:
        return _whole(column)
    if pa.types.is_string(column.type):
        return pc.if_else(pc.is_in(column, pa.array(["", *words])), pa.scalar(None, column.type), column)
    return column


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A decimal without places as an integer, as databases deliver their ids; as it is where it has too many digits."""
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column


def as_texts(table: pa.Table, names: Collection[str]) -> pa.Table:
    """The table with some of its columns, where it has them, as texts."""
    for name in set(names) & set(table.column_names):
        table = table.set_column(table.column_names.index(name), name, table.column(name).cast(pa.string()))
    return table


def require_column(table: pa.Table, name: str, option: str) -> None:
    """Raises InputError if a table lacks a column that an option names."""
    if name in table.column_names:
        return
    near = difflib.get_close_matches(name, table.column_names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(table.column_names[:30])
    raise InputError(f"{option} {name!r}: the data has no such column.{hint} Received: {shown}.")


def _read_csv(file: DataFile, as_text: Sequence[str]) -> pa.Table:
    path, csv, reading = file.path, file.csv(), file.reading
    _check_names(path, csv.names)
    formatted = [*reading.numbers, *reading.na_values_by_column]
    columns = {name: pa.string() for name in (*as_text, *formatted)}
    try:
        table = csv.whole(columns, max(_BLOCK_BYTES, path.stat().st_size + 1))
    except pa.ArrowInvalid as error:
        raise csv.explained((), error) from None
    for n, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        if pa.types.is_binary(column.type):  # Arrow's way of saying: not UTF-8
            row = next(n for n, value in enumerate(column, 1) if value.is_valid and not _is_utf8(value.as_py()))
            raise csv.error("is not UTF-8 text. Say its encoding (--encoding cp1252), or save it as UTF-8.", row, name)
        if name in formatted and name not in as_text:
            style = reading.numbers.get(name, f"1234{reading.decimal}5")
            table = table.set_column(n, name, to_numbers(column, style, reading.missing(name)))
    return table


def _check_names(path: pathlib.Path, names: Sequence[str]) -> None:
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise InputError(f"{path}, line 1: column {doubled[0]!r} appears twice. Rename or remove one.")


def _read_parquet(path: pathlib.Path, as_text: Sequence[str]) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"not a whole Parquet file: {_line(error)}. Deliver it again.", file=path) from None
    _check_names(path, table.column_names)
    return as_texts(table, as_text)


def _read_jsonl(path: pathlib.Path, as_text: Sequence[str], reading: Read) -> pa.Table:
    if not path.stat().st_size:
        raise InputError("the file is empty. Deliver it again.", file=path)
    options = pa.json.ReadOptions(block_size=max(_BLOCK_BYTES, path.stat().st_size))
    try:
        table = pa.json.read_json(path, read_options=options)
    except pa.ArrowInvalid as error:
        if place := _broken_line(path):
            raise InputError(f"{path}{place}: {_line(error)}. One JSON object a line is expected.") from None
        try:
            table = pa.json.read_json(pa.BufferReader(_words_as_null(path, reading)), read_options=options)
        except pa.ArrowInvalid:
            raise InputError(f"{_line(error)}. Each field must be of one type.", file=path) from None
    _check_names(path, table.column_names)
    return as_texts(table, as_text)


def _words_as_null(path: pathlib.Path, reading: Read) -> bytes:
    """The lines with null where a numeric field has a text that means a missing value, as every run reads them."""
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line.strip()]
    numeric = {name for row in rows for name, value in row.items() if isinstance(value, int | float)}
    for row in rows:
        for name in numeric & row.keys():
            if isinstance(row[name], str) and row[name].strip() in ("", *reading.missing(name)):
                row[name] = None
    return b"\n".join(json.dumps(row).encode() for row in rows)


def _broken_line(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                if line.strip() and not isinstance(json.loads(line), dict):
                    return f", line {number}"
            except ValueError:
                return f", line {number}"
    return ""


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _line(error: Exception) -> str:
    return one_line(error, 300).rstrip(".")
