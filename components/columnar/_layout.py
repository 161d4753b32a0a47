"""How Examples are stored in Parquet: as the list columns that TFX's own readers pass on unchanged.

TFX's ParquetTFXIO passes columns to TFDV and TFT as it finds them, and those accept only large_list of int64, float32 and
large_binary. The original types are kept in the file's metadata, and reading rows with this package restores them.
"""

from __future__ import annotations

import base64

import pyarrow as pa
import pyarrow.compute as pc

from components.columnar._arrow import is_list, is_text, list_type, tfx_columns

_PLAIN = b"trainyard.plain"


def stored_schema(plain: pa.Schema) -> pa.Schema:
    """The schema of a file that stores rows of a plain schema."""
    fields = [pa.field(field.name, list_type(field.type)) for field in plain]
    return pa.schema(fields, metadata={_PLAIN: base64.b64encode(plain.serialize().to_pybytes())})


def stored_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of plain columns as they are stored. A float64 becomes a float32, as everywhere in TFX."""
    return tfx_columns(batch).replace_schema_metadata(stored_schema(batch.schema).metadata)


def plain_schema(stored: pa.Schema) -> pa.Schema:
    """The original schema of a file's rows; the file's own schema if it was not written by us."""
    metadata = stored.metadata or {}
    if _PLAIN not in metadata:
        return stored
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(metadata[_PLAIN])))


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Stored rows as plain columns: the reverse of `stored_batch`."""
    stored = batch.schema
    plain = plain_schema(stored)
    if plain is stored:
        return batch
    fields = [plain.field(name) for name in batch.schema.names]
    arrays = [_plain(column, field.type) for column, field in zip(batch.columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if not is_list(kind):
        return _values(pc.list_element(column, 0), kind)
    if column.type.value_type == pa.large_binary() and not pa.types.is_large_binary(kind.value_type):
        column = column.cast(pa.large_list(pa.large_string() if is_text(kind.value_type) else pa.binary()))
    return column.cast(kind)


def _values(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.type == kind:
        return values
    if pa.types.is_null(kind):
        return pa.nulls(len(values))
    if pa.types.is_float64(kind):
        # Via the shortest decimal: 0.1 comes back as 0.1, not as 0.10000000149, and still passes a bound of 0.1.
        return values.cast(pa.string()).cast(kind)
    if pa.types.is_large_binary(values.type) and not pa.types.is_binary(kind):
        return values.cast(pa.large_string()).cast(kind)
    return values.cast(kind)
