"""Examples as Arrow: reading and writing the Parquet that every component shares. Imports nothing else of ours."""

from components.columnar._arrow import is_list, plain_columns, tfx_columns
from components.columnar._files import (
    PAYLOAD_FORMAT,
    ShardWriter,
    SplitWriter,
    commit_shards,
    count_rows,
    decode_splits,
    encode_splits,
    split_directory,
    split_files,
)
from components.columnar._reading import batch_rows, read_batches, read_split

__all__ = [
    "PAYLOAD_FORMAT",
    "ShardWriter",
    "SplitWriter",
    "batch_rows",
    "commit_shards",
    "count_rows",
    "decode_splits",
    "encode_splits",
    "is_list",
    "plain_columns",
    "read_batches",
    "read_split",
    "split_directory",
    "split_files",
    "tfx_columns",
]
