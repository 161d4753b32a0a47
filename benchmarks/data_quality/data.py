"""The data for both sides: Examples of taxi-like trips in Parquet, and the profile of an earlier span.

Usage: python -m benchmarks.data_quality.data ROWS FOLDER
"""

from __future__ import annotations

import pathlib
import sys

import pyarrow as pa
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from benchmarks.pipeline.cases.taxi import CASE
from components.columnar import SplitWriter
from components.drift.profile import profile
from components.ingestion.contract import columns_of

SPLITS = ("train", "eval")
_EVAL_BLOCK = 5  # every fifth block goes to eval
_ROWS_OF_THE_SPAN_BEFORE = 200_000


def write(rows: int, folder: pathlib.Path) -> None:
    """Writes examples/, schema/schema.pbtxt and baseline/profile.json."""
    (folder / "schema").mkdir(parents=True)
    (folder / "schema" / "schema.pbtxt").write_text(CASE.schema(), encoding="utf-8")
    columns = columns_of(text_format.Parse(CASE.schema(), schema_pb2.Schema()))
    schema = pa.schema([(one.name, one.type) for one in columns])
    _, tables = CASE.tables(rows)
    with (
        SplitWriter(folder / "examples", "train", schema) as train,
        SplitWriter(folder / "examples", "eval", schema) as evaluated,
    ):
        for number, table in enumerate(tables):
            writer = evaluated if number % _EVAL_BLOCK == _EVAL_BLOCK - 1 else train
            for batch in table.select(schema.names).cast(schema).to_batches():
                writer.write(batch)
    _, tables = CASE.tables(_ROWS_OF_THE_SPAN_BEFORE)
    before = pa.concat_tables(list(tables)).select(schema.names).cast(schema)
    (folder / "baseline").mkdir()
    told = profile("span 0", schema.names, before.column).to_json()
    (folder / "baseline" / "profile.json").write_text(told, encoding="utf-8")


if __name__ == "__main__":
    write(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
