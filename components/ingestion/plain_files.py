"""Files as people have them, as plain text: UTF-8, a CSV or JSON lines, without lines that are no data.

What is plain is read where it lies. Other files are written anew, once, into a temporary folder; line n stays line n, so that
what is found wrong is named by its line in the file that the person has.
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

from spec.errors import InputError, one_line
from spec.workload import Read

COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")  # what Arrow unpacks, by the file's ending
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
    """A file's format by the ending of its name, be it compressed or not; None: it does not say."""
    suffixes = [one.lower() for one in pathlib.PurePath(name).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def known_endings() -> str:
    """For messages."""
    return ", ".join(_FORMATS)


@contextlib.contextmanager
def plain(path: pathlib.Path, format: str, reading: Read) -> Iterator[pathlib.Path]:
    """A file that is plain text, to be read as CSV where `format` is csv or xlsx, and as JSON lines where it is json or jsonl.

    Raises:
        InputError: the file is not what it is declared to be.
    """
    if is_plain(path, format, reading):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="trainyard-plain-") as folder:
        target = pathlib.Path(folder) / path.name
        # Arrow goes by the ending, and what lies here is unpacked.
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
    """Whether a file is read as it lies there."""
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
    """A file's bytes, unpacked where its ending says that it is compressed.

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
    """Blanks the lines that are no data, but none within a quoted value."""
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
        for found in pattern.finditer(block) if is_there else ():  # to look for it is ten times as fast
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
    """An array of objects as one object a line; other text as it is."""
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
    """The first rows of each sheet of an Excel file that has any, in their order.

    Args:
        path: of the file.
        rows: of each sheet, blank ones left out.
    """
    with _workbook(path) as book:
        found = {sheet.title: list(itertools.islice(filter(any, _cells(sheet)), rows)) for sheet in book.worksheets}
    return {title: cells for title, cells in found.items() if cells}


def _sheet(path: pathlib.Path, name: str) -> str:
    """A sheet as the CSV that it would be saved as: row n is line n, a blank one an empty line."""
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
            warnings.simplefilter("ignore")  # of styles and extensions, which no value depends on
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
