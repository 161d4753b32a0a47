"""Any file as plain text: UTF-8, CSV or JSON lines, with only lines of data.

Plain files are read where they are. Others are converted once into a temporary folder; line n stays line n, so that errors name
the line in the original file.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import datetime
import io
import itertools
import json
import pathlib
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any, TextIO

import pyarrow as pa

from spec.errors import InputError
from spec.words import one_line
from spec.workload import Read

COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")  # what Arrow unpacks, by file extension
_FORMATS = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv", ".txt"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".xlsx", ".xlsm"), "xlsx"),
    ".json": "json",
    ".parquet": "parquet",
    ".tfrecord": "tfrecord",
}
_BLOCK_BYTES = 4 * 2**20
_EXCEL_ERRORS = frozenset(("#N/A", "#NAME?", "#DIV/0!", "#REF!", "#VALUE!", "#NUM!", "#NULL!"))


def format_of(name: str) -> str | None:
    """A file's format by its extension, compressed or not; None: it does not say."""
    suffixes = [one.lower() for one in pathlib.PurePath(name).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def known_endings() -> str:
    """The file extensions that are understood, for messages."""
    return ", ".join(_FORMATS)


@contextlib.contextmanager
def plain(path: pathlib.Path, format: str, reading: Read) -> Iterator[pathlib.Path]:
    """A plain version of a file: a CSV if `format` is csv or xlsx, JSON lines if it is json or jsonl.

    Raises:
        InputError: the file is not what it is declared to be.
    """
    if is_plain(path, format, reading):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="trainyard-plain-") as folder:
        target = pathlib.Path(folder) / path.name
        # Arrow goes by the extension, and this file is not compressed.
        target = target.with_name(f"{target.name}.txt")
        try:
            with target.open("w", encoding="utf-8", newline="") as file:
                _write(path, format, reading, file)
            yield target
        except UnicodeError as error:
            raise InputError(
                f"is not {reading.encoding} text: {error}. Declare its encoding in workload.yaml (data.read.encoding).",
                file=path,
            ) from None
        except InputError as error:
            raise error.renamed(target, path) from error


def is_plain(path: pathlib.Path, format: str, reading: Read) -> bool:
    """Whether a file can be read without conversion."""
    if format in ("xlsx", "json"):
        return False
    is_utf8 = codecs.lookup(reading.encoding).name in ("utf-8", "utf-8-sig")
    if format == "jsonl":
        return is_utf8 and path.suffix not in COMPRESSED
    return format != "csv" or (is_utf8 and not reading.comment and not reading.repeated_header)


def _write(path: pathlib.Path, format: str, reading: Read, file: TextIO) -> None:
    if format == "xlsx":
        text: Iterator[str] = iter((_sheet(path, reading.sheet),))
    elif format == "json":
        text = _lines_of_json(path, "".join(_text(path, reading.encoding)))
    else:
        text = _text(path, reading.encoding)
    if format in ("csv", "xlsx"):
        text = _only_data(text, reading)
    for block in text:
        file.write(block)


def blocks(path: pathlib.Path) -> Iterator[bytes]:
    """A file's bytes, decompressed if its extension says so.

    Raises:
        InputError: it is damaged.
    """
    try:
        with pa.input_stream(str(path)) as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except OSError as error:
        if error.errno:
            raise
        raise InputError(f"cannot be unpacked ({error}). Deliver it again.", file=path) from None


def _text(path: pathlib.Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    for block in blocks(path):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _only_data(text: Iterator[str], reading: Read) -> Iterator[str]:
    """Blanks comments and repeated headers, but nothing within a quoted value."""
    blocks = _whole_lines(text)
    first = next(blocks, "")
    header = _header_line(first, reading) if reading.repeated_header else ""
    marks = [re.escape(reading.comment) + r"[^\r\n]*"] * bool(reading.comment)
    marks += [re.escape(header) + r"(?=[\r\n]|\Z)"] * bool(header)
    if not marks:
        yield from itertools.chain((first,), blocks)
        return
    pattern = re.compile(r"(?:(?<=[\r\n])|\A)(?:" + "|".join(marks) + ")")
    begins = [begin for begin in (reading.comment, header) if begin]
    quotes, is_past_header = 0, False
    for block in itertools.chain((first,), blocks):
        kept, last = [], 0
        is_there = any(block.startswith(begin) or f"\n{begin}" in block or f"\r{begin}" in block for begin in begins)
        for found in pattern.finditer(block) if is_there else ():  # this check is ten times as fast as the pattern
            quotes += block.count('"', last, found.start())
            is_header = found.group() == header and not is_past_header
            is_past_header |= is_header
            is_kept = quotes % 2 == 1 or is_header
            kept.append(block[last : found.end() if is_kept else found.start()])
            quotes += found.group().count('"') if is_kept else 0
            last = found.end()
        quotes += block.count('"', last)
        yield "".join((*kept, block[last:]))


def _header_line(block: str, reading: Read) -> str:
    for line in re.split(r"\r\n|\r|\n", block)[reading.skip_rows :]:
        text = line.lstrip("\ufeff")
        if text and not (reading.comment and text.startswith(reading.comment)):
            return text
    return ""


def _whole_lines(text: Iterator[str]) -> Iterator[str]:
    rest = ""
    for block in text:
        whole = rest + block
        end = max(whole.rfind("\n"), whole[:-1].rfind("\r")) + 1  # a \r at the very end may be half of \r\n
        if end:
            yield whole[:end]
        rest = whole[end:]
    if rest:
        yield rest


def _lines_of_json(path: pathlib.Path, text: str) -> Iterator[str]:
    """An array of objects as one object a line; other text unchanged."""
    text = text.lstrip("\ufeff \t\r\n")
    if not text.startswith("["):
        _refuse_one_object(path, text)
        yield text
        return
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no whole JSON array: {error}. Mend it, or deliver it again.", file=path) from None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            shown = json.dumps(row)[:60]
            raise InputError(f"{path}, element {number}: an object is expected. Received: {shown}. Mend the element.")
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _refuse_one_object(path: pathlib.Path, text: str) -> None:
    try:
        json.loads(text.partition("\n")[0])
        return
    except ValueError:
        pass
    try:
        whole = json.loads(text)
    except ValueError:
        return  # the reader names the line
    if isinstance(whole, dict):
        raise InputError(
            f"is one JSON object. Received: one with {', '.join(map(repr, list(whole)[:5]))}. An array of objects, or one "
            "object a line, is expected: take the array out of it.",
            file=path,
        )


def sheets(path: pathlib.Path, rows: int) -> dict[str, list[list[str]]]:
    """The first rows of each non-empty sheet of an Excel file, in order.

    Args:
        rows: of each sheet, blank ones not counted.
    """
    with _workbook(path) as book:
        found = {sheet.title: list(itertools.islice(filter(any, _cells(sheet)), rows)) for sheet in book.worksheets}
    return {title: cells for title, cells in found.items() if cells}


def _sheet(path: pathlib.Path, name: str) -> str:
    """A sheet as CSV: row n is line n, and a blank row is an empty line."""
    with _workbook(path) as book:
        if name and name not in book.sheetnames:
            raise InputError(f"has no sheet {name!r}. Received: {', '.join(book.sheetnames)}.", file=path)
        for sheet in [book[name]] if name else book.worksheets:
            rows = list(_cells(sheet))
            if any(any(row) for row in rows):
                return _as_csv(rows)
    empty = f"the sheet {name!r} is" if name else "all its sheets are"
    raise InputError(f"{empty} empty. Deliver it again.", file=path)


def _cells(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()
    return ([_cell(value) for value in row] for row in sheet.iter_rows(values_only=True))


@contextlib.contextmanager
def _workbook(path: pathlib.Path) -> Iterator[Any]:
    import openpyxl  # type: ignore[import-untyped]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which do not affect values
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException) as error:
        raise InputError(
            f"is no whole .xlsx file ({one_line(error, 100)}). Save it as .xlsx, without a password.",
            file=path,
        ) from None
    try:
        yield book
    finally:
        book.close()


def _as_csv(rows: list[list[str]]) -> str:
    width = max(max((n for n, value in enumerate(row, 1) if value), default=0) for row in rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        if any(row):
            writer.writerow([*row[:width], *("" for _ in range(width - len(row)))])
        else:
            text.write("\n")
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None or value in _EXCEL_ERRORS:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return str(value.date() if value.time() == datetime.time() else value)
    return str(value)
