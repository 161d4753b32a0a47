"""Reading JSON lines with Arrow: blocks of whole lines, their fields, and which row does not fit."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.json

from components.ingestion.contract import Column, check_header
from components.ingestion.csv_files import BLOCK_BYTES, refuse_binary
from components.ingestion.formatted_numbers import as_plain
from components.ingestion.parts import Part
from components.ingestion.rewriting import Booleans
from spec.errors import InputError
from spec.words import one_line


def json_blocks(path: pathlib.Path, part: Part) -> Iterator[bytes]:
    """Blocks of whole lines, none of them blank.

    Raises:
        InputError: the file is not text, or is one JSON array.
    """
    if part.start == 0:
        refuse_binary(path, "JSON lines")
    with path.open("rb") as file:
        if part.start == 0 and file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise InputError(
                "is a JSON array. One JSON object a line is expected: declare `format: json`, or write each element as "
                "a line of its own (jq -c '.[]').",
                file=path,
            )
        file.seek(part.start)
        while part.end is None or file.tell() < part.end:
            size = BLOCK_BYTES if part.end is None else min(BLOCK_BYTES, part.end - file.tell())
            block = file.read(size)
            if not block:
                return
            block += file.readline() if not block.endswith(b"\n") else b""
            if block.strip():
                yield block


def parse_json(path: pathlib.Path, block: bytes, columns: Sequence[Column], ignore: Collection[str] | None) -> pa.Table:
    """Lines as a table, with its fields checked."""
    try:
        return _checked(path, block, columns, ignore)
    except (pa.ArrowInvalid, ValueError) as error:
        if isinstance(error, InputError) or (with_numbers := _with_numbers(block, columns)) is None:
            raise
        return _checked(path, with_numbers, columns, ignore)


def _with_numbers(block: bytes, columns: Sequence[Column]) -> bytes | None:
    """The lines, with texts replaced that mean a missing number or are a formatted one; None if there are no such texts."""
    try:
        rows = [json.loads(line) for line in block.split(b"\n") if line.strip()]
    except ValueError:
        return None
    changed = False
    for column in columns:
        if pa.types.is_string(column.written) or pa.types.is_binary(column.written):
            continue
        found = [row for row in rows if isinstance(row, dict) and isinstance(row.get(column.name), str)]
        texts = pa.array([row[column.name].strip() for row in found], pa.string())
        plain = as_plain(texts, column.style) if column.style else texts
        for row, text, number in zip(found, texts.to_pylist(), plain.to_pylist(), strict=True):
            if text in ("", *column.missing):
                row[column.name], changed = None, True
            elif column.style and (value := _number(number)) is not None:
                row[column.name], changed = value, True
    return b"\n".join(json.dumps(row).encode() for row in rows) if changed else None


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _checked(path: pathlib.Path, block: bytes, columns: Sequence[Column], ignore: Collection[str] | None) -> pa.Table:
    schema = pa.schema([(c.name, _json_type(c, block)) for c in columns])
    try:
        # Other fields are inferred so that their names can be checked, or ignored where any field is allowed.
        table = _parse(block, schema, "ignore" if ignore is None else "infer")
        names = table.schema.names
    except pa.ArrowInvalid:
        if not ignore:
            raise
        # A field that is not read may change its type from line to line; only its name matters.
        table = _parse(block, schema, "ignore")
        names = list(dict.fromkeys(name for line in block.split(b"\n") if line.strip() for name in json.loads(line)))
        names += [name for name in table.schema.names if name not in names]
    check_header(path, names, list(columns), ignore)
    return table


def _json_type(column: Column, block: bytes) -> pa.DataType:
    """The column's type in JSON, where a text column may hold booleans."""
    if not isinstance(column.rewrite, Booleans):
        return column.written
    name = json.dumps(column.name, ensure_ascii=False).encode()
    found = re.search(re.escape(name) + rb"\s*:\s*(true|false|\")", block)
    return column.type if found is None or found[1] == b'"' else pa.bool_()


def _parse(block: bytes, schema: pa.Schema, unexpected: str) -> pa.Table:
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected)
    try:
        return pa.json.read_json(pa.BufferReader(block), parse_options=options)
    except pa.ArrowInvalid as error:
        if "straddl" not in str(error):
            raise
        # A line is longer than Arrow's block: parse everything as one block.
        whole = pa.json.ReadOptions(block_size=len(block) + 1)
        return pa.json.read_json(pa.BufferReader(block), read_options=whole, parse_options=options)


def explained(path: pathlib.Path, columns: Sequence[Column], part: Part, message: str) -> InputError:
    """An error that names the first line that Arrow cannot parse with the columns' types."""
    schema = pa.schema([(c.name, c.written) for c in columns])
    row = part.first_row
    for block in json_blocks(path, part):
        block = _with_numbers(block, columns) or block
        lines = [line for line in block.split(b"\n") if line.strip()]
        if _parses(block, schema):
            row += len(lines)
            continue
        first, last = 0, len(lines)
        while last - first > 1:
            middle = (first + last) // 2
            first, last = (middle, last) if _parses(b"\n".join(lines[first:middle]), schema) else (first, middle)
        try:
            _parse(lines[first], schema, "ignore")
        except pa.ArrowInvalid as error:
            message = one_line(error)
        message = json_reason(message)
        named = re.search(r"Column\(/([^)/]+)", message)
        problem = f"{message[:300]}. One flat JSON object a line is expected: mend the row."
        return InputError(problem, file=path, row=row + first + 1, column=named[1] if named else None)
    return InputError(f"{message[:300]}. One JSON object a line is expected.", file=path)


def _parses(block: bytes, schema: pa.Schema) -> bool:
    try:
        _parse(block, schema, "ignore")
    except pa.ArrowInvalid:
        return False
    return True


def json_reason(message: str) -> str:
    """Arrow's message without its row number, which is relative to the block."""
    return re.sub(r" in row \d+$", "", one_line(message)).rstrip(".")
