"""Reads TFRecord files of tf.Example, gzipped or not, into RecordBatches of plain columns."""

from __future__ import annotations

import gzip
import os
import pathlib
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.ingestion.bad_rows import BadRow, ReadRows
from components.ingestion.contract import Column, check_header
from spec.errors import InputError
from spec.words import one_line

_BATCH_BYTES = 32 * 2**20
_BATCH_ROWS = 8192
_FRAME_BYTES = 16  # of a record: its length and two checksums
_GZIP = b"\x1f\x8b"


def read_tfrecord(
    path: pathlib.Path, columns: Sequence[Column], ignore: Collection[str] | None
) -> Iterator[tuple[ReadRows, dict[int, tuple[str, str]]]]:
    """Yields rows with the file's own types, and by index those with several values where one is expected.

    Records that are not a tf.Example, or whose feature has another type than in neighbouring records, are among `bad`.

    Raises:
        InputError: the file is not a TFRecord file, is truncated, or has an unknown column.
    """
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    decoder, done = ExamplesToRecordBatchDecoder(), 0
    for records in _records(path):
        numbers = np.arange(done + 1, done + 1 + len(records))
        done += len(records)
        for part, kept, bad in _decode(decoder, records, numbers):
            names = part.schema.names
            # A feature that no record of this batch has may still be in the file.
            check_header(path, [*names, *(c.name for c in columns if c.name not in names)], list(columns), ignore)
            batch, wrong = _plain(part, [c for c in columns if c.name in names])
            yield ReadRows(batch, kept, bad), wrong


def read_tfrecord_strictly(
    path: pathlib.Path, columns: Sequence[Column], ignore: Collection[str] | None
) -> Iterator[pa.RecordBatch]:
    """The same; the first row that does not fit is an InputError."""
    for rows, wrong in read_tfrecord(path, columns, ignore):
        if rows.bad:
            raise InputError(f"{rows.bad[0].reason}. Write the record anew.", file=path, row=rows.bad[0].row)
        if wrong:
            index, (column, reason) = next(iter(wrong.items()))
            raise InputError(
                f"{reason}. Mend the record, or give the feature a shape in schema.pbtxt.",
                file=path,
                row=int(rows.numbers[index]),
                column=column,
            )
        yield rows.batch


def sample_types(path: pathlib.Path) -> dict[str, pa.DataType]:
    """The features of the file's first records, and the type of their values: int64, float32 or binary."""
    rows = next(_first_batch(path), None)
    if rows is None:
        return {}
    kinds = {field.name: field.type for field in rows.schema if not pa.types.is_null(field.type)}
    return {
        name: pa.binary() if pa.types.is_large_binary(kind.value_type) else kind.value_type
        for name, kind in kinds.items()
    }


def _first_batch(path: pathlib.Path) -> Iterator[pa.RecordBatch]:
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    for records in _records(path):
        for batch, _, _ in _decode(ExamplesToRecordBatchDecoder(), records, np.arange(len(records))):
            yield batch


def _records(path: pathlib.Path) -> Iterator[list[bytes]]:
    import tensorflow as tf

    with path.open("rb") as file:
        kind = "GZIP" if file.read(2) == _GZIP else ""
    dataset = tf.data.TFRecordDataset(str(path), compression_type=kind, buffer_size=8 * 2**20)
    try:
        size = max((len(record) for record in dataset.take(16).as_numpy_iterator()), default=1)
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, size)))
        total = 0
        for records in dataset.batch(rows).as_numpy_iterator():
            yield records.tolist()
            total += sum(map(len, records)) + _FRAME_BYTES * len(records)
        if kind:
            _insist_on_whole_gzip(path, total)
    except tf.errors.DataLossError as error:
        problem = error.message.partition("} ")[2] or error.message
        raise InputError(
            f"not a whole TFRecord file: {problem.partition(' [Op')[0][:200]}. Deliver it again.", file=path
        ) from None


def _insist_on_whole_gzip(path: pathlib.Path, total: int) -> None:
    """TensorFlow mistakes a gzip stream that is cut off between two records for a complete one; the stream's length tells."""
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        if int.from_bytes(file.read(4), "little") == total % 2**32:
            return
    try:
        with gzip.open(path) as file:  # a file may have several streams, and only reading shows that they are complete
            while file.read(2**22):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"not a whole TFRecord file: {error}. Deliver it again.", file=path) from None


def _decode(
    decoder: Any, records: list[bytes], numbers: Any
) -> Iterator[tuple[pa.RecordBatch, Any, tuple[BadRow, ...]]]:
    try:
        yield decoder.DecodeBatch(records), numbers, ()
    except RuntimeError as error:
        if len(records) == 1:
            bad = BadRow(int(numbers[0]), None, f"is no tf.Example: {one_line(error, 200)}")
            yield pa.RecordBatch.from_pydict({}), numbers[:0], (bad,)
            return
        half = len(records) // 2
        yield from _decode(decoder, records[:half], numbers[:half])
        yield from _decode(decoder, records[half:], numbers[half:])


def _plain(batch: pa.RecordBatch, columns: Sequence[Column]) -> tuple[pa.RecordBatch, dict[int, tuple[str, str]]]:
    arrays, wrong = [], dict[int, tuple[str, str]]()
    for column in columns:
        array = batch.column(column.name)
        if pa.types.is_list(column.type) or pa.types.is_null(array.type):
            arrays.append(array)
            continue
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        for index in np.flatnonzero(lengths > 1):
            wrong.setdefault(int(index), (column.name, f"one value expected. Received: {lengths[index]}"))
        first = pa.array(array.offsets.to_numpy()[:-1], mask=lengths != 1)
        values = array.values.take(first)
        arrays.append(values.cast(pa.binary()) if pa.types.is_large_binary(values.type) else values)
    if not arrays:  # Arrow counts a batch's rows by its columns
        return pa.RecordBatch.from_arrays([pa.nulls(batch.num_rows)], names=[""]), wrong
    return pa.RecordBatch.from_arrays(arrays, names=[c.name for c in columns]), wrong
