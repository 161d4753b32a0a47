"""Real splits of transformed Examples."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.columnar import split_directory, stored_batch
from tests.components.trainer import fitting

_ROOT = pathlib.Path(__file__).parents[3]

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


@pytest.fixture
def uri(write_split: Callable[..., str]) -> str:
    """1,030 rows in row groups of 100: `number` (0 ..), `half` and `text` of it, `y` its parity."""
    number = np.arange(1_030)
    text = np.array([str(i).encode() for i in number], dtype=object)
    return write_split(
        {"number": number, "half": (number / 2).astype(np.float32), "text": text, "y": (number * 7 // 5) % 2}
    )


@pytest.fixture
def job(uri: str, tmp_path: pathlib.Path) -> fitting.Job:
    """Three epochs of 17 batches on one CPU, without checkpoints."""
    module = tmp_path / "workload" / "model.py"
    module.parent.mkdir()
    module.write_text(fitting.MODEL)
    config = {"epochs": 3, "batch_size": 64, "hyperparameters": {"learning_rate": 0.01}}
    return fitting.Job(uri, str(module), str(tmp_path / "result"), config)


@pytest.fixture
def begin() -> Callable[..., subprocess.Popen[str]]:
    """Starts a job in a process of its own, with these environment variables."""

    def run(job: fitting.Job, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, fitting.__file__, job.json()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT), **environment},
        )

    return run


@pytest.fixture
def start(begin: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a job to its end; the last of `args` is its result."""

    def run(job: fitting.Job, **environment: str) -> subprocess.CompletedProcess[str]:
        process = begin(job, **environment)
        try:
            _, errors = process.communicate(timeout=300)
        finally:
            process.kill()
        return subprocess.CompletedProcess([job.result], process.returncode, stderr=errors)

    return run


def _column(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
