"""Examples as Arrow: reading and writing the Parquet that every component shares. Imports nothing else of ours."""

from components.columnar._arrow import is_list, is_text, is_text_or_bytes, plain_columns, tfx_columns
from components.columnar._columns import ColumnReader
from components.columnar._files import (
    ExamplesWriter,
    ShardWriter,
    SplitWriter,
    commit_shards,
    count_rows,
    decode_splits,
    encode_splits,
    mark_as_parquet,
    split_directory,
    split_files,
    split_schema,
)
from components.columnar._hashing import Hashes, add_column, hash_rows, spread_bits
from components.columnar._layout import stored_batch
from components.columnar._reading import (
    RowGroup,
    batch_rows,
    read_batches,
    read_file,
    read_list_batches,
    read_rows,
    read_split,
    row_groups,
)

__all__ = [
    "ColumnReader",
    "ExamplesWriter",
    "Hashes",
    "RowGroup",
    "ShardWriter",
    "SplitWriter",
    "add_column",
    "batch_rows",
    "commit_shards",
    "count_rows",
    "decode_splits",
    "encode_splits",
    "hash_rows",
    "is_list",
    "is_text",
    "is_text_or_bytes",
    "mark_as_parquet",
    "plain_columns",
    "read_batches",
    "read_file",
    "read_list_batches",
    "read_rows",
    "read_split",
    "row_groups",
    "split_directory",
    "split_files",
    "split_schema",
    "spread_bits",
    "stored_batch",
    "tfx_columns",
]
