"""Real splits of transformed Examples."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.columnar import split_directory, stored_batch

MODEL = """
import keras

def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Concatenate()([keras.ops.expand_dims(v, -1) for v in inputs.values()])
    return keras.Model(inputs, schema.outputs(x))
"""


@pytest.fixture
def module(tmp_path: pathlib.Path) -> str:
    """A file with the smallest `build_model`."""
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return str(path)


@pytest.fixture
def write_split(tmp_path: pathlib.Path) -> Callable[..., str]:
    """Writes columns ([n] or [n, d]) as a split of so many rows a row group; returns the Examples' URI."""

    def write(columns: Mapping[str, Any], split: str = "train", group: int = 100, lists: bool = False) -> str:
        table = pa.table({name: _column(np.asarray(values)) for name, values in columns.items()})
        if lists:
            (batch,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
            table = pa.Table.from_batches([stored_batch(batch)])
        folder = split_directory(tmp_path / "examples", split)
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / "examples-00000-of-00001.parquet", row_group_size=group)
        return str(tmp_path / "examples")

    return write


def _column(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
