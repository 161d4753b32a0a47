from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from components.columnar._layout import plain_schema, stored_batch, stored_schema

# Names in tfx.proto.example_gen_pb2, written out so that reading Parquet does not cost an import of TFX.
_PARQUET = {"payload_format": "FORMAT_PARQUET", "file_format": "FILE_FORMAT_PARQUET"}

# About 100 MB of a table of twenty columns: large enough to read in one go, small enough to spread over workers.
_ROWS_PER_SHARD = 1_000_000
_ROWS_PER_GROUP = 65_536
_BYTES_PER_GROUP = 64 * 2**20


def split_directory(uri: str | os.PathLike[str], split: str) -> pathlib.Path:
    """Where TFX keeps the files of one split of an Examples artifact."""
    return pathlib.Path(uri) / f"Split-{split}"


def split_files(uri: str | os.PathLike[str], split: str) -> list[pathlib.Path]:
    """The Parquet files of one split, in their order."""
    return sorted(split_directory(uri, split).glob("*.parquet"))


def split_schema(uri: str | os.PathLike[str], split: str) -> pa.Schema:
    """The plain columns of a split.

    Raises:
        FileNotFoundError: it has no files.
    """
    files = split_files(uri, split)
    if not files:
        raise FileNotFoundError(f"{split_directory(uri, split)}: there are no Parquet files. Run ingestion again.")
    return plain_schema(pq.read_schema(files[0]))


def count_rows(uri: str | os.PathLike[str], split: str) -> int:
    """Rows of one split, read from the files' footers."""
    return sum(pq.read_metadata(path).num_rows for path in split_files(uri, split))


def mark_as_parquet(examples: Any) -> None:
    """Marks an Examples artifact as Parquet, in the properties that TFX's own components read."""
    for name, value in _PARQUET.items():
        examples.set_string_custom_property(name, value)


def encode_splits(splits: Sequence[str]) -> str:
    """The value of an Examples artifact's `split_names`."""
    return json.dumps(list(splits))


def decode_splits(split_names: str) -> list[str]:
    """The splits that an Examples artifact's `split_names` names."""
    return [str(name) for name in json.loads(split_names or "[]")]


def commit_shards(shards: Sequence[pathlib.Path], directory: str | os.PathLike[str], name: str) -> list[pathlib.Path]:
    """Gives complete files their final names, `<name>-00000-of-0000N.parquet`, by renaming them in their order."""
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        shard.rename(folder / f"{name}-{number:05d}-of-{len(shards):05d}.parquet")
        for number, shard in enumerate(shards)
    ]


def open_shard(path: pathlib.Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Opens a Parquet file with the settings that all of ours have."""
    # Snappy: half of zstd's size gain at a fifth of its time; these files are read within minutes.
    # Dictionaries take half of the writing time, and save nothing where values hardly repeat.
    return pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=_repeating(schema))


class ShardWriter:
    """Writes `<name>-00000-of-0000N.parquet` into a folder; shards get their names when all are complete.

    Attributes:
        shards: the files, in the order of their rows; once closed, under their final names.

    Example:
        with ShardWriter(folder, "predictions", schema) as writer:
            writer.write(batch)
        writer.rows  # how many went in
    """

    def __init__(self, directory: str | os.PathLike[str], name: str, schema: pa.Schema) -> None:
        self.rows = 0
        self._name = name
        self._directory = pathlib.Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self.shards: list[pathlib.Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._rows_in_shard = 0
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Appends the rows of a batch of the writer's schema."""
        if batch.num_rows == 0:
            return
        self.rows += batch.num_rows
        # Small batches are collected into one row group, since each row group costs time to write and to read.
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        if self._pending_rows >= _ROWS_PER_GROUP or self._pending_bytes >= _BYTES_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None or self._rows_in_shard >= _ROWS_PER_SHARD:
            self._next_shard()
        assert self._writer is not None
        size = self._pending_rows if self._pending_rows <= 2 * _ROWS_PER_GROUP else _ROWS_PER_GROUP
        self._writer.write_table(pa.Table.from_batches(self._pending), row_group_size=size)
        self._rows_in_shard += self._pending_rows
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            if self._writer is not None:
                self._writer.close()
            for shard in self.shards:
                shard.unlink(missing_ok=True)
            return
        self._flush()
        if self._writer is None:
            self._next_shard()  # an empty split is a file without rows, so that readers find its schema
        assert self._writer is not None
        self._writer.close()
        self.shards = commit_shards(self.shards, self._directory, self._name)

    def _next_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        path = self._directory / f".{self._name}-{len(self.shards):05d}.partial"
        self.shards.append(path)
        self._writer = open_shard(path, self._schema)
        self._rows_in_shard = 0


def _repeating(schema: pa.Schema) -> list[str]:
    """Parquet paths of the columns whose values are likely to repeat: scalar integers and texts."""
    plain = plain_schema(schema)
    return [
        f"{field.name}.list.element" if pa.types.is_nested(field.type) else field.name
        for field, shown in zip(schema, plain, strict=True)
        if not (pa.types.is_floating(shown.type) or pa.types.is_binary(shown.type) or pa.types.is_nested(shown.type))
    ]


class ExamplesWriter(ShardWriter):
    """Writes shards of plain columns in the layout of Examples, which TFX's own components can read too.

    A float64 keeps the precision of a float32, as everywhere in TFX.
    """

    def __init__(self, directory: str | os.PathLike[str], name: str, schema: pa.Schema) -> None:
        super().__init__(directory, name, stored_schema(schema))

    def write(self, batch: pa.RecordBatch) -> None:
        """Appends the rows of a batch of plain columns."""
        super().write(stored_batch(batch))


class SplitWriter(ExamplesWriter):
    """Writes one split of an Examples artifact."""

    def __init__(self, uri: str | os.PathLike[str], split: str, schema: pa.Schema) -> None:
        super().__init__(split_directory(uri, split), "examples", schema)
