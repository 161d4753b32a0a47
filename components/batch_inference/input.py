"""Which columns a release needs from a file, and of what type."""

from __future__ import annotations

import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.ingestion.contract import Column
from components.ingestion.readers import opened, source_names
from components.ingestion.rewriting import rewrite_of
from components.served_model import RawFeature, ServedModel
from spec.errors import InputError
from spec.words import one_line
from spec.workload import Read

_NUMBERS = {"float32": pa.float64(), "int64": pa.int64()}
_SAMPLE_LINES = 200
_RESERVED = ("file", "row", "model_version")


def columns_for(
    model: ServedModel, keys: Sequence[str], source: Mapping[str, pa.DataType], path: str, format: str
) -> list[Column]:
    """The columns to read: what the model takes, and the keys.

    Args:
        keys: columns that are carried to the output.
        source: the columns of the (first) file and their types, where the format has types.
        path: of that file, for messages.

    Raises:
        InputError: a key is not a column, or has the name of an output column.
    """
    for key in keys:
        if key in (*_RESERVED, *model.kind.prediction_types()):
            raise InputError(
                f"--keys: {key!r} is the name of an output column. Rename it in the data, or leave it out."
            )
        if key not in source and key not in model.features:
            known = ", ".join(list(source)[:40])
            raise InputError(f"--keys: {path} has no column {key!r}. Received: {known}. Name columns of the data.")
    features = [_feature(name, feature, source.get(name)) for name, feature in model.features.items()]
    carried = [Column(key, _plain(source[key], format), False, False) for key in keys if key not in model.features]
    return features + carried


def _feature(name: str, feature: RawFeature, found: pa.DataType | None) -> Column:
    kind = _NUMBERS.get(feature.dtype)
    if kind is None:
        kind = pa.binary() if found is not None and _holds_bytes(found) else pa.string()
    if feature.shape:
        return Column(name, pa.list_(kind), True, False)
    rewrite = rewrite_of(feature.time_format, feature.booleans) if kind == pa.string() else None
    return Column(name, kind, not feature.nullable, False, rewrite)


def _holds_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def source_types(path: pathlib.Path, format: str, reading: Read) -> dict[str, pa.DataType]:
    """A file's columns; their types as the format gives them: text for CSV, what the first lines hold for JSON.

    Raises:
        InputError: the file cannot be read as its format.
    """
    if format == "images":
        return {"image": pa.binary()}
    if format in ("csv", "xlsx"):
        return dict.fromkeys(source_names(path, reading, format), pa.string())
    if format in ("jsonl", "json"):
        with opened(path, format, reading) as file:
            return _json_types(file.path)
    if format == "tfrecord":
        from components.ingestion.tfrecord import sample_types  # imports TensorFlow

        return sample_types(path)
    try:
        return {field.name: field.type for field in pq.read_schema(path)}
    except pa.ArrowInvalid as error:
        raise InputError(f"not a whole Parquet file: {one_line(error, 200)}", file=path) from None


def _json_types(path: pathlib.Path) -> dict[str, pa.DataType]:
    values: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        for line in itertools.islice(file, _SAMPLE_LINES):
            try:
                row = json.loads(line)
            except ValueError:
                continue  # a broken line is the reader's to report
            for name, value in row.items() if isinstance(row, dict) else ():
                values.setdefault(name, []).append(value)
    return {name: _inferred(found) for name, found in values.items()}


def _inferred(values: list[Any]) -> pa.DataType:
    try:
        return pa.infer_type(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()


def _plain(kind: pa.DataType, format: str) -> pa.DataType:
    if format == "tfrecord" and _holds_bytes(kind):
        return pa.string()  # a tf.Example has no other type for text
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.string() if pa.types.is_null(kind) else kind  # a column that begins with nulls may hold text further on
