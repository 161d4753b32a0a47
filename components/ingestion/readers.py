"""Reads files into RecordBatches of the schema's types. A row that does not fit is named by file, line, row and column."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components import progress
from components.columnar import is_text
from components.ingestion import arrow_types, json_files
from components.ingestion.arrow_types import NOT_CONVERTED
from components.ingestion.contract import NULLABLE, Column, check_header, columns_as_read
from components.ingestion.csv_files import CsvFile, too_long
from components.ingestion.formatted_numbers import as_plain
from components.ingestion.labels import labelled
from components.ingestion.lists import divided, rewritten
from components.ingestion.parts import WHOLE, Part
from components.ingestion.plain_files import plain
from components.ingestion.tfrecord import read_tfrecord_strictly
from spec.errors import InputError
from spec.words import one_line
from spec.workload import PLAIN, Read

_BATCH_ROWS = 65_536
_BATCH_BYTES = 32 * 2**20


@dataclasses.dataclass(frozen=True)
class DataFile:
    """A file to read.

    Attributes:
        path: of the file, or of a plain copy of it.
        kind: csv, parquet, jsonl or tfrecord.
    """

    path: pathlib.Path
    kind: str
    reading: Read

    def csv(self) -> CsvFile:
        """Raises InputError if it has no header."""
        return CsvFile.open(self.path, self.reading)

    def error(self, problem: str, row: int, column: str) -> InputError:
        """An error about a value in the file."""
        if self.kind == "csv":
            return self.csv().error(problem, row, column)
        return InputError(problem, file=self.path, row=row, column=column)


def read_file(
    path: pathlib.Path,
    format: str,
    columns: Sequence[Column],
    ignore: Collection[str] | None,
    part: Part = WHOLE,
    reading: Read = PLAIN,
) -> Iterator[pa.RecordBatch]:
    """Yields a file's rows as batches that have exactly `columns`, in their order.

    Args:
        format: csv, xlsx, parquet, jsonl, json or tfrecord.
        ignore: columns that may be there too; None: any.
        part: which rows of a Parquet or JSON-lines file; default: all.

    Raises:
        InputError: the file cannot be read as its format, or does not fit the columns.
    """
    columns = columns_as_read(columns, reading)
    row = part.first_row
    with opened(path, format, reading) as file:
        try:
            for batch in _READERS[file.kind](file, columns, ignore, part):
                progress.rows(batch.num_rows)
                yield _conform(file, batch, columns, row)
                row += batch.num_rows
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise _explained(file, columns, part, error) from error
        if row == 0 and part == WHOLE:
            raise InputError("the file has no rows. Deliver it again, or remove it from the span.", file=path)


@contextlib.contextmanager
def opened(path: pathlib.Path, format: str, reading: Read) -> Iterator[DataFile]:
    """A file, converted first if it is not of a kind that can be read directly."""
    with plain(path, format, reading) as found:
        kind = {"xlsx": "csv", "json": "jsonl"}.get(format, format)
        yield DataFile(found, kind, reading.model_copy(update={"separator": ","}) if format == "xlsx" else reading)


def source_names(path: pathlib.Path, reading: Read, format: str) -> tuple[str, ...]:
    """The names of the columns of a CSV or an Excel file."""
    with opened(path, format, reading) as file:
        return file.csv().names


def _read_csv(
    file: DataFile, columns: list[Column], ignore: Collection[str] | None, part: Part
) -> Iterator[pa.RecordBatch]:
    csv = file.csv()
    check_header(file.path, csv.names, columns, ignore)
    wanted = csv.among(columns)
    if vectors := [c.name for c in wanted if pa.types.is_list(c.written)]:
        raise InputError(
            f"CSV cannot hold lists. Deliver {vectors[0]!r} as Parquet or JSON lines, or say what divides the classes of a label "
            "(data.label.separator).",
            file=file.path,
        )
    yield from csv.batches(wanted, threads=True)


def read_parquet(
    file: DataFile, columns: list[Column], ignore: Collection[str] | None, part: Part
) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file with its own types, in batches that fit into memory, however long the values are."""
    # Without checksums, which not every writer leaves, damage looks like just another value.
    with pq.ParquetFile(file.path, page_checksum_verification=True) as stored:
        names = stored.schema_arrow.names
        check_header(file.path, names, columns, ignore)
        groups = list(part.groups) or list(range(stored.metadata.num_row_groups))
        facts = [stored.metadata.row_group(number) for number in groups]
        rows, size = sum(one.num_rows for one in facts), sum(one.total_byte_size for one in facts)
        most = max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(1, size)))
        wanted = [column.name for column in columns if column.name in names]
        if groups:  # or Arrow would read a file without rows as one with all of them
            yield from stored.iter_batches(batch_size=most, row_groups=groups, columns=wanted)


def _read_jsonl(
    file: DataFile, columns: list[Column], ignore: Collection[str] | None, part: Part
) -> Iterator[pa.RecordBatch]:
    for block in json_files.json_blocks(file.path, part):
        yield from json_files.parse_json(file.path, block, columns, ignore).to_batches()


_Reader = Callable[[DataFile, list[Column], Collection[str] | None, Part], Iterator[pa.RecordBatch]]
_READERS: dict[str, _Reader] = {
    "csv": _read_csv,
    "parquet": read_parquet,
    "jsonl": _read_jsonl,
    "tfrecord": lambda file, columns, ignore, part: read_tfrecord_strictly(file.path, columns, ignore),
}


def has_zero_byte(array: pa.Array) -> bool:
    """Whether a text column holds U+0000; checks the whole buffer of bytes first, which is fast."""
    if not (pa.types.is_string(array.type) or pa.types.is_binary(array.type)) or not len(array):
        return False
    values = array.buffers()[2]
    return values is not None and not bool(np.frombuffer(values, np.uint8).all()) and bool(_zero_bytes(array).any())


def _zero_bytes(array: pa.Array) -> npt.NDArray[np.bool_]:
    return pc.fill_null(pc.match_substring(array, "\0"), False).to_numpy(zero_copy_only=False)


def lacking(arrays: Sequence[pa.Array], columns: Sequence[Column]) -> Iterator[tuple[Column, npt.NDArray[np.bool_]]]:
    """The columns in which a required value, or part of a vector, is missing, and the rows where it is."""
    keeping = (array for array, column in zip(arrays, columns, strict=True) if column.keeps)
    kept = next((labelled(array).to_numpy(zero_copy_only=False) for array in keeping), None)
    for array, column in zip(arrays, columns, strict=True):
        without = _lacking(array, column)
        if without is not None and kept is not None:
            without &= kept
        if without is not None and without.any():
            yield column, without


def _lacking(array: pa.Array, column: Column) -> npt.NDArray[np.bool_] | None:
    mask = array.is_null().to_numpy(zero_copy_only=False) if column.required and array.null_count else None
    if not pa.types.is_list(array.type):
        return mask
    gaps = pc.list_flatten(array).is_null(nan_is_null=True)
    if pc.any(gaps).as_py():
        mask = np.zeros(len(array), dtype=bool) if mask is None else mask.copy()
        mask[pc.list_parent_indices(array).filter(gaps).to_numpy()] = True
    return mask


def _conform(file: DataFile, batch: pa.RecordBatch, columns: Sequence[Column], first_row: int) -> pa.RecordBatch:
    present = set(batch.schema.names)
    arrays = []
    for column in columns:
        if column.name not in present:
            arrays.append(pa.nulls(batch.num_rows, column.type))
            continue
        array = batch.column(column.name)
        if file.kind == "csv" and has_zero_byte(array):
            row = first_row + int(np.argmax(_zero_bytes(array))) + 1
            raise file.error("holds a zero byte, which no text has. Export the file again.", row, column.name)
        arrays.append(_cast(file, array, column, first_row))
    for column, without in lacking(arrays, columns):
        raise file.error(
            f"has no value ({int(without.sum())} in this block), and the schema requires one. Fill it, remove the row, or let "
            f"it be missing in schema.pbtxt: {NULLABLE}.",
            first_row + int(np.argmax(without)) + 1,
            column.name,
        )
    return pa.RecordBatch.from_arrays(arrays, names=[c.name for c in columns])


def to_type(array: pa.Array, column: Column) -> pa.Array:
    """Casts without loss to the column's type and spelling; texts that mean a missing value become null.

    Raises:
        ArrowInvalid: a value does not fit.
        ArrowNotImplementedError, ArrowTypeError: no value of this type would.
    """
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if is_text(array.type):
            texts = _without_words(pc.utf8_trim_whitespace(array.cast(pa.string())), column.missing)
            array = as_plain(texts, column.style) if column.style else texts
        return arrow_types.to_type(array, kind)
    if column.separator and is_text(array.type):
        array = divided(array.cast(pa.string()), column.separator, column.missing)
    array = arrow_types.to_type(array, kind)
    if pa.types.is_list(kind):
        return rewritten(array, column.rewrite) if column.rewrite else array
    if pa.types.is_string(kind):
        array = _without_words(array, column.missing)
    return column.rewrite(array) if column.rewrite else array


def _without_words(texts: pa.Array, words: Sequence[str]) -> pa.Array:
    is_missing = pc.is_in(texts, value_set=pa.array(["", *words]))
    return pc.if_else(is_missing, pa.scalar(None, texts.type), texts) if pc.any(is_missing).as_py() else texts


def _cast(file: DataFile, array: pa.Array, column: Column, first_row: int) -> pa.Array:
    try:
        return to_type(array, column)
    except NOT_CONVERTED as error:
        detail = one_line(error)
        problem = (
            f"the schema says {column.expected}. Received: {str(array.type)[:100]} ({detail[:160]}). Deliver that type, or "
            "change it in schema.pbtxt."
        )
        if isinstance(error, pa.ArrowInvalid):
            raise file.error(problem, first_row + _first_that_fails(array, column) + 1, column.name) from None
        raise InputError(problem, file=file.path, column=column.name) from None


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


def _explained(file: DataFile, columns: Sequence[Column], part: Part, error: Exception) -> InputError:
    if long := too_long(file.path, error):
        return long
    if file.kind == "csv":
        return file.csv().explained(columns, error)
    message = one_line(error)
    if file.kind == "jsonl":
        return json_files.explained(file.path, columns, part, message)
    return InputError(f"not a whole Parquet file: {message[:300]}. Deliver it again.", file=file.path)
