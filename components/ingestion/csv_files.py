"""Reading CSV with Arrow: column names, batches, and the row and line of anything that is wrong."""

from __future__ import annotations

import csv
import dataclasses
import io
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from components.ingestion.contract import Column
from components.ingestion.plain_files import COMPRESSED, blocks
from spec.errors import InputError
from spec.words import one_line
from spec.workload import Read

BLOCK_BYTES = 8 * 2**20
_HEAD_BYTES = 2**20
_ARROW_ROW = re.compile(r"Row #(\d+): ")


@dataclasses.dataclass(frozen=True)
class CsvFile:
    """A CSV that is plain text.

    Attributes:
        first_line: how many lines come before the first row of data.
    """

    path: pathlib.Path
    reading: Read
    names: tuple[str, ...]
    first_line: int

    @classmethod
    def open(cls, path: pathlib.Path, reading: Read) -> CsvFile:
        """Looks at a file's header.

        Raises:
            InputError: it has none, or is not text.
        """
        refuse_binary(path)
        head = next(blocks(path), b"")[:_HEAD_BYTES]
        return cls(path, reading, *_header(path, head, reading))

    def among(self, columns: Sequence[Column]) -> list[Column]:
        """The columns that are in the file."""
        return [column for column in columns if column.name in set(self.names)]

    def batches(
        self,
        columns: Sequence[Column],
        threads: bool,
        on_ragged: Callable[[Any], str] | None = None,
    ) -> pa.csv.CSVStreamingReader:
        """Arrow's reader of `columns`. `on_ragged` decides about rows with too few or too many fields; default: an error."""
        types = {column.name: self._raw_type(column) for column in columns}
        convert = self._convert_options(types)
        convert.include_columns = list(types)
        read = self._read_options(threads, BLOCK_BYTES)
        return pa.csv.open_csv(self.path, read, self._parse_options(on_ragged), convert)

    def whole(self, types: Mapping[str, pa.DataType], block_size: int) -> pa.Table:
        """All rows and columns; Arrow guesses the types that are not given.

        It reads one block, because Arrow fixes a column's type in the first and fails on a 3.5 in the second.
        """
        read = self._read_options(True, block_size)
        return pa.csv.read_csv(self.path, read, self._parse_options(), self._convert_options(types))

    def _parse_options(self, on_ragged: Callable[[Any], str] | None = None) -> pa.csv.ParseOptions:
        return pa.csv.ParseOptions(
            delimiter=self.reading.separator, newlines_in_values=True, invalid_row_handler=on_ragged
        )

    def _convert_options(self, types: Mapping[str, pa.DataType]) -> pa.csv.ConvertOptions:
        return pa.csv.ConvertOptions(
            column_types=dict(types),
            null_values=["", *self.reading.na_values],
            # Missing texts are recognised later, by column; a missing number may be quoted or not.
            strings_can_be_null=False,
            quoted_strings_can_be_null=True,
            decimal_point=self.reading.decimal,
        )

    def _read_options(self, threads: bool, block_size: int) -> pa.csv.ReadOptions:
        named = self.reading.names or not self.reading.header
        return pa.csv.ReadOptions(
            block_size=block_size,
            use_threads=threads,
            column_names=list(self.names) if named else None,
            skip_rows=self.first_line if named else self.reading.skip_rows,
        )

    def _raw_type(self, column: Column) -> pa.DataType:
        """The type that Arrow reads a column as: text, where a number is written in a way that Arrow does not know."""
        kind = column.written
        is_number = not (pa.types.is_string(kind) or pa.types.is_binary(kind))
        is_formatted = column.name in self.reading.numbers or self.reading.thousands
        if is_number and (is_formatted or column.missing != self.reading.na_values):
            return pa.string()
        return kind

    def row(self, counted: int) -> int:
        """The row of data, from 1, that Arrow counts as `counted`; Arrow includes the lines before the data."""
        reading = self.reading
        return counted - (self.first_line if reading.names or not reading.header else reading.skip_rows + 1)

    def error(self, problem: str, row: int | None = None, column: str | None = None) -> InputError:
        """An error about the file, or about a row of data in it, which is named by its line too."""
        return InputError(problem, file=self.path, line=self.line(row) if row else None, row=row, column=column)

    def line(self, row: int) -> int:
        """The line in which a row of data begins, from 1; 0: the file has no such row."""
        found = open_quotes = 0
        with pa.input_stream(str(self.path)) as file:
            lines = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
            for number, line in enumerate(lines, 1):
                if number > self.first_line and (open_quotes or line.strip("\r\n")):
                    found += not open_quotes
                    if found == row:
                        return number
                    open_quotes = (open_quotes + line.count('"')) % 2
        return 0

    def explained(self, columns: Sequence[Column], error: Exception) -> InputError:
        """An error that says what Arrow could not read, and where."""
        message = self._serial_error(columns) or one_line(error)
        column = re.search(r"In CSV column #(\d+): ", message)
        if column:
            name = self.names[int(column[1])]
            detail = _ARROW_ROW.sub("", message.replace(column[0], "")).removeprefix("CSV conversion error to ")
            row = self._row_of(name, columns)
            problem = f"the schema's type does not fit: {detail}. Mend the value, or the type in schema.pbtxt."
            if "UTF8" in message:
                problem = (
                    "is not UTF-8 text. Save the file as UTF-8, or declare its encoding in workload.yaml "
                    "(data.read.encoding: cp1252, latin-1)."
                )
            return self.error(problem, row, name)
        broken = _ARROW_ROW.search(message)
        problem = (
            f"{_ARROW_ROW.sub('', message)[:300]}. The row is broken or cut off: mend it, or deliver the file again."
        )
        return self.error(problem, self.row(int(broken[1])) if broken else None)

    def _serial_error(self, columns: Sequence[Column]) -> str:
        """Reads again without threads, because only then does Arrow count rows."""
        try:
            for _ in self.batches(self.among(columns), threads=False):
                pass
        except (pa.ArrowInvalid, OSError) as error:
            return one_line(error)
        return ""

    def _row_of(self, name: str, columns: Sequence[Column]) -> int | None:
        """The first row whose value does not convert; reads the column as bytes, which always converts."""
        kind = next(c.type for c in columns if c.name == name)
        row = 0
        for batch in self.batches([Column(name, pa.binary(), False, False)], threads=False):
            values = batch.column(0)
            if not self._converts(values, kind):
                return row + next(i for i in range(len(values)) if not self._converts(values.slice(i, 1), kind)) + 1
            row += len(values)
        return None

    def _converts(self, raw: pa.Array, kind: pa.DataType) -> bool:
        """Whether Arrow converts all of them: not a number beyond 64 bits or `1_000`, but `0x1F`."""
        try:
            texts = pc.utf8_trim_whitespace(raw.cast(pa.string()))
            if not pa.types.is_string(kind):
                texts = texts.filter(pc.invert(pc.is_in(texts, pa.array(["", *self.reading.na_values]))))
                texts = pc.replace_substring(texts, self.reading.decimal, ".")
            texts.cast(kind)
        except pa.ArrowInvalid:
            return False
        return True


def _header(path: pathlib.Path, head: bytes, reading: Read) -> tuple[tuple[str, ...], int]:
    """The columns' names, and how many lines come before the data."""
    lines = _lines(head, reading.skip_rows)
    rows = csv.reader((line for _, line in lines), delimiter=reading.separator)
    try:
        found = next(rows, None)
    except csv.Error as error:
        raise InputError(f"the first line is no header: {error}.", file=path) from None
    if found is None:
        raise InputError("the file is empty: it has no header and no rows. Deliver it again, or remove it.", file=path)
    if not reading.header:
        names = reading.names or tuple(f"column_{n}" for n in range(1, len(found) + 1))
        return _as_many(path, names, found), reading.skip_rows
    if any("\udc80" <= character <= "\udcff" for name in found for character in name):
        raise InputError(
            "the first line is not UTF-8 text. Save the file as UTF-8, or declare its encoding in workload.yaml "
            "(data.read.encoding).",
            file=path,
        )
    last = lines[rows.line_num - 1][0]
    return _as_many(path, reading.names, found) if reading.names else tuple(found), last


def _lines(head: bytes, skip: int) -> list[tuple[int, str]]:
    """The non-blank lines after the first `skip`, each with its number."""
    text = head.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    lines: Iterator[str] = io.StringIO(text, newline="")
    return [(n, line) for n, line in enumerate(lines, 1) if n > skip and line.strip("\r\n")]


def _as_many(path: pathlib.Path, names: Sequence[str], found: Sequence[str]) -> tuple[str, ...]:
    if len(names) != len(found):
        raise InputError(
            f"data.read.names has {len(names)} names. Received: {len(found)} columns "
            f"({', '.join(map(repr, found[:5]))}). Name each column, in the file's order.",
            file=path,
        )
    return tuple(names)


def refuse_binary(path: pathlib.Path, what: str = "CSV") -> None:
    """Refuses a file that is not text, and says what it may be; Arrow's error would only quote its bytes.

    Raises:
        InputError: it is UTF-16, or holds zero bytes in its beginning.
    """
    if path.suffix in COMPRESSED and what == "CSV":
        return
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(
            f"is UTF-16. Received: a file that begins with {head[:2].hex(' ')}. Save it as UTF-8, or declare it in "
            "workload.yaml (data.read.encoding: utf-16).",
            file=path,
        )
    if b"\0" in head:
        packed = f"a compressed one needs its ending ({', '.join(COMPRESSED)})"
        raise InputError(
            f"is not text. Received: a zero byte at {head.index(0)}; it begins with {head[:4].hex(' ')}. "
            f"Save it as {what} in UTF-8; {packed}, Parquet `format: parquet`.",
            file=path,
        )


def too_long(path: pathlib.Path, error: Exception) -> InputError | None:
    """The error for a row that does not fit into two of Arrow's blocks; None if that is not what happened."""
    if "straddl" not in str(error):
        return None
    return InputError(
        f"a row is longer than {BLOCK_BYTES // 2**20} MiB, or a quote is opened and never closed. Mend it, or "
        "deliver values of that size as Parquet.",
        file=path,
    )
