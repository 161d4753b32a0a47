"""Rows that an item brings along, as a file: they are read as those of any file, and a row means the same in both."""

from __future__ import annotations

import base64
import binascii
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spec.errors import InputError
from spec.words import one_line


def has_bytes(rows: Sequence[Any]) -> bool:
    """Whether there is a value that JSON cannot hold, and that the model server takes as `{"b64": "..."}`."""
    return any(
        _is_bytes(row) or (isinstance(row, dict) and any(_is_bytes(one) for one in row.values())) for row in rows
    )


def write(rows: Sequence[Any], columns: Sequence[str], folder: pathlib.Path) -> tuple[pathlib.Path, str]:
    """Writes rows into a folder; the file and its format.

    Args:
        columns: of the model; a row that is no object is the value of a single one.

    Raises:
        InputError: bytes are not in base64, or the values of a column are of several types.
    """
    if len(columns) == 1:
        rows = [row if isinstance(row, dict) and not _is_bytes(row) else {columns[0]: row} for row in rows]
    if has_bytes(rows):
        path = folder / "rows.parquet"
        pq.write_table(_table(rows, columns), path)
        return path, "parquet"
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    return path, "jsonl"


def _table(rows: Sequence[Any], columns: Sequence[str]) -> pa.Table:
    for row in rows:
        if not isinstance(row, dict):
            raise InputError(f"each instance must be an object {{column: value}}. Received: {str(row)[:100]}.")
    present = [name for name in columns if any(name in row for row in rows)]
    return pa.table({name: _column(name, [row.get(name) for row in rows]) for name in present})


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array([base64.b64decode(v["b64"], validate=True) if _is_bytes(v) else v for v in values])
    except (binascii.Error, pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"its values do not make a column: {one_line(error, 200)}.", column=name) from None


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}
