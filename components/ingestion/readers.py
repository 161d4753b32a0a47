"""Files to RecordBatches of the schema's types. A row that does not fit is named by file, row and column."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from components import progress
from components.errors import InputError
from components.ingestion import arrow_types
from components.ingestion.arrow_types import NOT_CONVERTED
from components.ingestion.contract import Column, check_header
from components.ingestion.parts import WHOLE, Part

BLOCK_BYTES = 8 * 2**20
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")  # what Arrow unpacks, by the file's ending
_ARROW_ROW = re.compile(r"Row #(\d+): ")
_BATCH_ROWS = 65_536
_BATCH_BYTES = 32 * 2**20


def read_file(
    path: pathlib.Path,
    format: str,
    columns: Sequence[Column],
    ignore: Collection[str] | None,
    part: Part = WHOLE,
) -> Iterator[pa.RecordBatch]:
    """Yields a file's rows as batches that have exactly `columns`, in their order.

    Args:
        path: of the file.
        format: csv, parquet, jsonl or tfrecord.
        columns: what the batches have.
        ignore: columns that may be there besides; None: any.
        part: which rows of a Parquet or JSON-lines file; default: all.

    Raises:
        InputError: the file cannot be read as its format, or does not fit the columns.
    """
    reader = {"csv": _read_csv, "parquet": _read_parquet, "jsonl": _read_jsonl, "tfrecord": _read_tfrecord}[format]
    row = part.first_row
    try:
        for batch in reader(path, list(columns), ignore, part):
            progress.rows(batch.num_rows)
            yield _conform(path, batch, columns, row, format)
            row += batch.num_rows
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise InputError(_explain(path, format, columns, part, error)) from error
    if row == 0 and part.whole:
        raise InputError(f"{path}: the file has no rows. Deliver it again, or remove it from the span.")


def _read_csv(
    path: pathlib.Path, columns: list[Column], ignore: Collection[str] | None, part: Part
) -> Iterator[pa.RecordBatch]:
    names = csv_header(path)
    check_header(str(path), names, columns, ignore)
    wanted = among(columns, names)
    if vectors := [c.name for c in wanted if pa.types.is_list(c.type)]:
        raise InputError(f"{path}: CSV cannot hold vectors. Deliver {vectors[0]!r} as Parquet or JSON lines.")
    yield from open_csv(path, wanted, threads=True)


def among(columns: Sequence[Column], names: Collection[str]) -> list[Column]:
    """Those of the columns that a file has."""
    present = set(names)
    return [c for c in columns if c.name in present]


def open_csv(
    path: pathlib.Path, columns: Sequence[Column], threads: bool, on_ragged: Callable[[Any], str] | None = None
) -> pa.csv.CSVStreamingReader:
    """Arrow's reader of `columns`; `on_ragged` is asked about rows of another length, default: they are an error."""
    return pa.csv.open_csv(
        path,
        read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=threads),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=on_ragged),
        convert_options=pa.csv.ConvertOptions(
            column_types={c.name: c.type for c in columns},
            include_columns=[c.name for c in columns],
            null_values=["", "NA", "NaN", "nan", "null", "NULL", "None"],
            # A quoted "" and a bare nothing are the same to whoever exported the file; "NA" may be a name.
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def csv_header(path: pathlib.Path) -> list[str]:
    """The names of a CSV file's columns."""
    _refuse_binary(path)
    try:
        return _names(path)
    except UnicodeDecodeError:
        raise InputError(f"{path}: the first line is not UTF-8 text. Save the file as UTF-8.") from None
    except OSError as error:
        if error.errno:
            raise
        raise InputError(f"{path}: cannot be unpacked ({error}). Deliver it again.") from None


def _names(path: pathlib.Path) -> list[str]:
    with pa.input_stream(path) as file:
        head = file.read(BLOCK_BYTES)
    line = head.partition(b"\n")[0]
    if line.count(b'"') % 2:  # a name goes on in the next line
        with pa.csv.open_csv(path, parse_options=pa.csv.ParseOptions(newlines_in_values=True)) as reader:
            return list(reader.schema.names)
    try:
        # The header alone: Arrow would infer a type for every column of the first block.
        return list(pa.csv.read_csv(pa.py_buffer(line + b"\n")).column_names)
    except pa.ArrowInvalid as error:
        if not line.strip():
            raise InputError(f"{path}: the file has no header and no rows. Deliver it again, or remove it.") from None
        raise InputError(f"{path}: the first line is no header: {' '.join(str(error).split())}") from None


def _refuse_binary(path: pathlib.Path, what: str = "CSV") -> None:
    """Says what a file that is no text may be: Arrow would quote its bytes."""
    if path.suffix in _COMPRESSED and what == "CSV":
        return
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: is UTF-16. Received: a file that begins with {head[:2].hex(' ')}. Save it as UTF-8.")
    if b"\0" in head:
        packed = f"a compressed one needs its ending ({', '.join(_COMPRESSED)})" if what == "CSV" else "unpack it first"
        raise InputError(
            f"{path}: is not text. Received: a zero byte at {head.index(0)}; it begins with {head[:4].hex(' ')}. "
            f"Save it as {what} in UTF-8; {packed}, Parquet `format: parquet`."
        )


def _read_parquet(
    path: pathlib.Path, columns: list[Column], ignore: Collection[str] | None, part: Part
) -> Iterator[pa.RecordBatch]:
    with open_parquet(path) as file:
        names = file.schema_arrow.names
        check_header(str(path), names, columns, ignore)
        yield from parquet_batches(file, among(columns, names), part)


def open_parquet(path: pathlib.Path) -> pq.ParquetFile:
    """Damage shows where the writer left checksums; without them a changed value is only another value."""
    return pq.ParquetFile(path, page_checksum_verification=True)


def parquet_batches(file: pq.ParquetFile, columns: Sequence[Column], part: Part) -> Iterator[pa.RecordBatch]:
    """Batches of a size that memory bears, however long the values are."""
    groups = list(part.groups) or list(range(file.metadata.num_row_groups))
    if not groups:  # a file of no rows
        return
    stored = [file.metadata.row_group(number) for number in groups]
    rows, size = sum(one.num_rows for one in stored), sum(one.total_byte_size for one in stored)
    most = max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(1, size)))
    yield from file.iter_batches(batch_size=most, row_groups=groups, columns=[c.name for c in columns])


def _read_jsonl(
    path: pathlib.Path, columns: list[Column], ignore: Collection[str] | None, part: Part
) -> Iterator[pa.RecordBatch]:
    for block in json_blocks(path, part):
        yield from parse_json(path, block, columns, ignore).to_batches()


def json_blocks(path: pathlib.Path, part: Part) -> Iterator[bytes]:
    """Blocks of whole lines, none of them blank.

    Raises:
        InputError: the file is no text, or one JSON array.
    """
    if part.start == 0:
        _refuse_binary(path, "JSON lines")
    with path.open("rb") as file:
        if part.start == 0 and file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise InputError(
                f"{path}: is a JSON array. One JSON object a line is expected: write each element as a line of its own "
                "(jq -c '.[]')."
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
    """Lines as a table; its fields are checked."""
    schema = pa.schema([(c.name, c.type) for c in columns])
    try:
        # Fields that are not named are inferred so that they can be checked; where any may be there they are passed over.
        table = _parse(block, schema, "ignore" if ignore is None else "infer")
        names = table.schema.names
    except pa.ArrowInvalid:
        if not ignore:
            raise
        # A field that is not read may change its type from line to line: only its name matters.
        table = _parse(block, schema, "ignore")
        names = list(dict.fromkeys(name for line in block.split(b"\n") if line.strip() for name in json.loads(line)))
        names += [name for name in table.schema.names if name not in names]
    check_header(str(path), names, list(columns), ignore)
    return table


def _parse(block: bytes, schema: pa.Schema, unexpected: str) -> pa.Table:
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected)
    try:
        return pa.json.read_json(pa.BufferReader(block), parse_options=options)
    except pa.ArrowInvalid as error:
        if "straddl" not in str(error):
            raise
        # A line longer than Arrow's block: all of it in one block then.
        whole = pa.json.ReadOptions(block_size=len(block) + 1)
        return pa.json.read_json(pa.BufferReader(block), read_options=whole, parse_options=options)


def _read_tfrecord(
    path: pathlib.Path, columns: list[Column], ignore: Collection[str] | None, part: Part
) -> Iterator[pa.RecordBatch]:
    from components.ingestion.tfrecord import read_tfrecord_strictly  # imports TensorFlow

    yield from read_tfrecord_strictly(path, columns, ignore)


def without_sentinels(array: pa.Array) -> pa.Array:
    """NaN and empty text are missing values."""
    if pa.types.is_floating(array.type) and pc.any(pc.is_nan(array)).as_py():
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if pa.types.is_string(array.type) and pc.any(pc.equal(array, "")).as_py():
        return pc.if_else(pc.equal(array, ""), pa.scalar(None, array.type), array)
    return array


def has_zero_byte(array: pa.Array) -> bool:
    """Whether a column of text holds U+0000; looked for in the values' bytes as a whole."""
    if not (pa.types.is_string(array.type) or pa.types.is_binary(array.type)) or not len(array):
        return False
    values = array.buffers()[2]
    return values is not None and not bool(np.frombuffer(values, np.uint8).all()) and bool(_zero_bytes(array).any())


def _zero_bytes(array: pa.Array) -> npt.NDArray[np.bool_]:
    return pc.fill_null(pc.match_substring(array, "\0"), False).to_numpy(zero_copy_only=False)


def _conform(
    path: pathlib.Path, batch: pa.RecordBatch, columns: Sequence[Column], first_row: int, format: str
) -> pa.RecordBatch:
    present = set(batch.schema.names)
    arrays = []
    for column in columns:
        if column.name not in present:
            arrays.append(pa.nulls(batch.num_rows, column.type))
            continue
        array = batch.column(column.name)
        if format == "csv" and has_zero_byte(array):
            row = first_row + int(np.argmax(_zero_bytes(array))) + 1
            raise InputError(
                f"{path}, row {row}, column {column.name!r}: holds a zero byte, which no text has. Export the file again."
            )
        if array.type != column.type or column.rewrite:
            array = _cast(path, array, column, first_row)
        array = without_sentinels(array)
        if column.required and array.null_count:
            row = first_row + int(np.argmax(array.is_null().to_numpy(zero_copy_only=False))) + 1
            raise InputError(
                f"{path}, row {row}, column {column.name!r}: has no value ({array.null_count} in this block), and the schema "
                "requires one. Fill it, remove the row, or lower presence.min_fraction in schema.pbtxt."
            )
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=[c.name for c in columns])


def to_type(array: pa.Array, column: Column) -> pa.Array:
    """Casts without loss, to the one form of each value.

    Raises:
        ArrowInvalid: a value does not fit.
        ArrowNotImplementedError, ArrowTypeError: no value of this type would.
    """
    array = arrow_types.to_type(array, column.type)
    return column.rewrite(array) if column.rewrite else array


def _cast(path: pathlib.Path, array: pa.Array, column: Column, first_row: int) -> pa.Array:
    try:
        return to_type(array, column)
    except NOT_CONVERTED as error:
        detail = " ".join(str(error).split())
        row = ""
        if isinstance(error, pa.ArrowInvalid):
            row = f", row {first_row + _first_that_fails(array, column) + 1}"
        raise InputError(
            f"{path}{row}, column {column.name!r}: the schema says {column.expected}. Received: {str(array.type)[:100]} "
            f"({detail[:160]}). Deliver that type, or change it in schema.pbtxt."
        ) from None


def _first_that_fails(array: pa.Array, column: Column) -> int:
    first, last = 0, len(array)
    while last - first > 1:
        middle = (first + last) // 2
        try:
            to_type(array[first:middle], column)
            first = middle
        except pa.ArrowInvalid:
            last = middle
    return first


def too_long(path: pathlib.Path, message: str) -> str | None:
    """What to say if Arrow met a row that does not fit into two of its blocks; None if it met something else."""
    if "straddl" not in message:
        return None
    return (
        f"{path}: a row is longer than {BLOCK_BYTES // 2**20} MiB, or a quote is opened and never closed. Mend it, or "
        "deliver values of that size as Parquet."
    )


def _explain(path: pathlib.Path, format: str, columns: Sequence[Column], part: Part, error: Exception) -> str:
    message = " ".join(str(error).split())
    if long := too_long(path, message):
        return long
    if format == "csv":
        message = _serial_csv_error(path, columns) or message
        column = re.search(r"In CSV column #(\d+): ", message)
        if column:
            names = csv_header(path)
            message = message.replace(column[0], "")
            # Arrow's own count takes the header for a row.
            detail = _ARROW_ROW.sub("", message).removeprefix("CSV conversion error to ")
            row = _row_of(path, names[int(column[1])], columns)
            where = f"{path}, {f'row {row}, ' if row else ''}column {names[int(column[1])]!r}"
            if "UTF8" in message:
                return f"{where}: is not UTF-8 text. Save the file as UTF-8 (it may be Latin-1 or Windows-1252)."
            return f"{where}: the schema's type does not fit: {detail}. Mend the value, or the type in schema.pbtxt."
        broken = _ARROW_ROW.search(message)
        where = f"{path}, row {int(broken[1]) - 1}" if broken else str(path)
        message = _ARROW_ROW.sub("", message)[:300]
        return f"{where}: {message}. The row is broken or cut off: mend it, or deliver the file again."
    if format == "jsonl":
        return _explain_json(path, columns, part, message)
    return f"{path}: not a whole Parquet file: {message[:300]}. Deliver it again."


def _serial_csv_error(path: pathlib.Path, columns: Sequence[Column]) -> str:
    """Reads once more without threads: only then does Arrow count rows."""
    names = set(csv_header(path))
    try:
        for _ in open_csv(path, [c for c in columns if c.name in names], threads=False):
            pass
    except (pa.ArrowInvalid, OSError) as error:
        return " ".join(str(error).split())
    return ""


def _row_of(path: pathlib.Path, name: str, columns: Sequence[Column]) -> int | None:
    """The first row whose value does not convert; reads the column as bytes, which always converts."""
    kind = next(c.type for c in columns if c.name == name)
    row = 0
    for batch in open_csv(path, [Column(name, pa.binary(), False, False)], threads=False):
        values = batch.column(0)
        if not _convert(values, kind):
            return row + next(i for i in range(len(values)) if not _convert(values.slice(i, 1), kind)) + 1
        row += len(values)
    return None


def _convert(raw: pa.Array, kind: pa.DataType) -> bool:
    """Whether Arrow takes all of them: a number beyond 64 bits and `1_000` it does not, `0x1F` it does."""
    try:
        pc.utf8_trim_whitespace(raw.cast(pa.string())).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _explain_json(path: pathlib.Path, columns: Sequence[Column], part: Part, message: str) -> str:
    """Finds the first line that Arrow does not take, as the columns type it."""
    schema = pa.schema([(c.name, c.type) for c in columns])
    row = part.first_row
    for block in json_blocks(path, part):
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
            message = " ".join(str(error).split())
        message = json_reason(message)
        named = re.search(r"Column\(/([^)/]+)", message)
        column = f", column {named[1]!r}" if named else ""
        return f"{path}, row {row + first + 1}{column}: {message[:300]}. One flat JSON object a line is expected: mend the row."
    return f"{path}: {message[:300]}. One JSON object a line is expected."


def _parses(block: bytes, schema: pa.Schema) -> bool:
    try:
        _parse(block, schema, "ignore")
    except pa.ArrowInvalid:
        return False
    return True


def json_reason(message: str) -> str:
    """Arrow's message without the row, which it counts within a block."""
    return re.sub(r" in row \d+$", "", " ".join(message.split())).rstrip(".")
