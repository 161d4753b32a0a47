"""Files to RecordBatches of the schema's types. A row that does not fit is named by file, row and column."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from components.errors import InputError
from components.ingestion.contract import Column, check_header

BLOCK_BYTES = 8 * 2**20
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")  # what Arrow unpacks, by the file's ending
_ARROW_ROW = re.compile(r"Row #(\d+): ")


def read_file(
    path: pathlib.Path, format: str, columns: Sequence[Column], ignore: Collection[str] | None
) -> Iterator[pa.RecordBatch]:
    """Yields a file's rows as batches that have exactly `columns`, in their order.

    Args:
        path: of the file.
        format: csv, parquet, jsonl or tfrecord.
        columns: what the batches have.
        ignore: columns that may be there besides; None: any.

    Raises:
        InputError: the file cannot be read as its format, or does not fit the columns.
    """
    reader = {"csv": _read_csv, "parquet": _read_parquet, "jsonl": _read_jsonl, "tfrecord": _read_tfrecord}[format]
    row = 0
    try:
        for batch in reader(path, list(columns), ignore):
            yield _conform(path, batch, columns, row)
            row += batch.num_rows
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise InputError(_explain(path, format, columns, error)) from error
    if row == 0:
        raise InputError(f"{path}: the file has no rows. Deliver it again, or remove it from the span.")


def _read_csv(path: pathlib.Path, columns: list[Column], ignore: Collection[str] | None) -> Iterator[pa.RecordBatch]:
    names = csv_header(path)
    check_header(str(path), names, columns, ignore)
    wanted = [c for c in columns if c.name in names]
    if any(pa.types.is_list(c.type) for c in wanted):
        raise InputError(f"{path}: CSV cannot hold vectors. Deliver {wanted[0].name!r} as Parquet or JSON lines.")
    yield from open_csv(path, wanted, threads=True)


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
    try:
        with pa.csv.open_csv(path, parse_options=pa.csv.ParseOptions(newlines_in_values=True)) as reader:
            return list(reader.schema.names)
    except pa.ArrowInvalid:
        # The first block may hold a broken row; the header alone does not.
        with pa.input_stream(path) as file:
            line = file.read(BLOCK_BYTES).partition(b"\n")[0]
        try:
            return list(pa.csv.read_csv(pa.py_buffer(line + b"\n")).column_names)
        except pa.ArrowInvalid as error:
            if not line.strip():
                raise InputError(
                    f"{path}: the file has no header and no rows. Deliver it again, or remove it."
                ) from None
            raise InputError(f"{path}: the first line is no header: {' '.join(str(error).split())}") from None


def _refuse_binary(path: pathlib.Path) -> None:
    """Says what a file that is no text may be: Arrow would quote its bytes."""
    if path.suffix in _COMPRESSED:
        return
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: is UTF-16. Received: a file that begins with {head[:2].hex(' ')}. Save it as UTF-8.")
    if b"\0" in head:
        raise InputError(
            f"{path}: is not text. Received: a zero byte at {head.index(0)}; it begins with {head[:4].hex(' ')}. "
            "Save it as CSV in UTF-8; "
            f"a compressed one needs its ending ({', '.join(_COMPRESSED)}), Parquet `format: parquet`."
        )


def _read_parquet(
    path: pathlib.Path, columns: list[Column], ignore: Collection[str] | None
) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        check_header(str(path), names, columns, ignore)
        yield from file.iter_batches(batch_size=65_536, columns=[c.name for c in columns if c.name in names])


def _read_jsonl(path: pathlib.Path, columns: list[Column], ignore: Collection[str] | None) -> Iterator[pa.RecordBatch]:
    options = json_options(columns, ignore)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES) + file.readline():
            if not block.strip():
                continue
            table = pa.json.read_json(pa.BufferReader(block), parse_options=options)
            check_header(str(path), table.schema.names, columns, ignore)
            yield from table.to_batches()


def _read_tfrecord(
    path: pathlib.Path, columns: list[Column], ignore: Collection[str] | None
) -> Iterator[pa.RecordBatch]:
    from components.ingestion.tfrecord import read_tfrecord_strictly  # imports TensorFlow

    yield from read_tfrecord_strictly(path, columns, ignore)


def json_options(columns: Sequence[Column], ignore: Collection[str] | None) -> pa.json.ParseOptions:
    """How Arrow takes lines apart; a column's type does not change between blocks."""
    schema = pa.schema([(c.name, c.type) for c in columns])
    # Fields that are not named are inferred so that they can be checked; where any may be there they are passed over.
    return pa.json.ParseOptions(
        explicit_schema=schema, unexpected_field_behavior="ignore" if ignore is None else "infer"
    )


def without_sentinels(array: pa.Array) -> pa.Array:
    """NaN and empty text are missing values."""
    if pa.types.is_floating(array.type) and pc.any(pc.is_nan(array)).as_py():
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if pa.types.is_string(array.type) and pc.any(pc.equal(array, "")).as_py():
        return pc.if_else(pc.equal(array, ""), pa.scalar(None, array.type), array)
    return array


def _conform(path: pathlib.Path, batch: pa.RecordBatch, columns: Sequence[Column], first_row: int) -> pa.RecordBatch:
    arrays = []
    for column in columns:
        if column.name not in batch.schema.names:
            arrays.append(pa.nulls(batch.num_rows, column.type))
            continue
        array = batch.column(column.name)
        if array.type != column.type:
            array = _cast(path, array, column)
        array = without_sentinels(array)
        if column.required and array.null_count:
            row = first_row + int(np.argmax(array.is_null().to_numpy(zero_copy_only=False))) + 1
            raise InputError(
                f"{path}, row {row}, column {column.name!r}: has no value ({array.null_count} in this block), and the schema "
                "requires one. Fill it, remove the row, or lower presence.min_fraction in schema.pbtxt."
            )
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=[c.name for c in columns])


def _cast(path: pathlib.Path, array: pa.Array, column: Column) -> pa.Array:
    try:
        if pa.types.is_boolean(array.type) and pa.types.is_string(column.type):
            return array.cast(pa.string())
        return array.cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        detail = " ".join(str(error).split())
        raise InputError(
            f"{path}, column {column.name!r}: the schema says {column.type}. Received: {array.type} ({detail[:160]}). "
            "Deliver that type, or change it in schema.pbtxt."
        ) from None


def too_long(path: pathlib.Path, message: str) -> str | None:
    """What to say if Arrow met a row that does not fit into two of its blocks; None if it met something else."""
    if "straddl" not in message:
        return None
    return (
        f"{path}: a row is longer than {BLOCK_BYTES // 2**20} MiB, or a quote is opened and never closed. Mend it, or "
        "deliver values of that size as Parquet."
    )


def _explain(path: pathlib.Path, format: str, columns: Sequence[Column], error: Exception) -> str:
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
            row = _row_of(path, names[int(column[1])], columns, detail)
            where = f"{path}, {f'row {row}, ' if row else ''}column {names[int(column[1])]!r}"
            if "UTF8" in message:
                return f"{where}: is not UTF-8 text. Save the file as UTF-8 (it may be Latin-1 or Windows-1252)."
            return f"{where}: the schema's type does not fit: {detail}. Mend the value, or the type in schema.pbtxt."
        broken = _ARROW_ROW.search(message)
        where = f"{path}, row {int(broken[1]) - 1}" if broken else str(path)
        message = _ARROW_ROW.sub("", message)[:300]
        return f"{where}: {message}. The row is broken or cut off: mend it, or deliver the file again."
    if format == "jsonl":
        line = _broken_json_line(path)
        return f"{path}{f', line {line}' if line else ''}: {message[:300]}. One JSON object a line is expected."
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


def _row_of(path: pathlib.Path, name: str, columns: Sequence[Column], detail: str) -> int | None:
    """The first row whose value does not convert; reads the column as bytes, which always converts."""
    kind = next(c.type for c in columns if c.name == name)
    row = 0
    for batch in open_csv(path, [Column(name, pa.binary(), False, False)], threads=False):
        for value in batch.column(0):
            row += 1
            text = value.as_py()
            if text is not None and not _converts(text, kind):
                return row
    return None


def _converts(raw: bytes, kind: pa.DataType) -> bool:
    try:
        text = raw.decode("utf-8").strip()
        if pa.types.is_integer(kind):
            int(text)
        elif pa.types.is_floating(kind):
            float(text)
    except ValueError:
        return False
    return True


def _broken_json_line(path: pathlib.Path) -> int | None:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                if line.strip() and not isinstance(json.loads(line), dict):
                    return number
            except ValueError:
                return number
    return None
