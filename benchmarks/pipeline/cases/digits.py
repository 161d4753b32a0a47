"""The digits workload, 1,797 pictures of 8 x 8 pixels for 40 epochs: what a small pipeline costs.

The data is CSV with a column for each pixel, because stock TFX needs a custom executor to read lists from files. Pixels are
integers because CsvExampleGen infers a column's type from its values.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks.pipeline.case import Case, Column, Goal
from benchmarks.pipeline.csv_files import write_csv

if TYPE_CHECKING:
    import keras

    from components.trainer import ModelSchema

_PIXELS = tuple(f"pixel_{i:02}" for i in range(64))
_ROWS = 1_797


class Digits(Case):
    title = "pictures of 64 pixels"
    label = "label"
    slice_by = "label"
    classes = tuple(range(10))
    columns = (
        *(Column(name, "INT", more="int_domain { min: 0 max: 16 }") for name in _PIXELS),
        Column("label", "INT", more="int_domain { min: 0 max: 9 }"),
    )
    hyperparameters = {"learning_rate": 0.002, "filters": 32, "dropout": 0.3}
    epochs, batch_size, patience = 40, 64, 10
    buckets = (7, 1, 2)
    default_rows = fixed_rows = _ROWS

    def goals(self, rows: int) -> tuple[Goal, ...]:
        return (Goal("whole process", "seconds", 20),)

    def generate(self, rows: int, folder: pathlib.Path) -> None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        columns = {name: pa.array(digits.data[:rows, i].astype(np.int64)) for i, name in enumerate(_PIXELS)}
        table = pa.table(columns | {"label": pa.array(digits.target[:rows], pa.int64())})
        write_csv(folder / "digits.csv", table.schema, [table])

    def preprocessing_fn(self, inputs: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        from pipelines.workloads.digits import features

        pixels = tf.cast(tf.stack([inputs[name] for name in _PIXELS], axis=1), tf.float32)
        return features.preprocessing_fn({"pixels": pixels})

    def build_model(self, schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
        from pipelines.workloads.digits import model

        return model.build_model(schema, hyperparameters)

    def transform(self, table: pa.Table, analysed: Any) -> dict[str, np.ndarray]:
        columns = [table.column(name).to_numpy() for name in _PIXELS]
        return {"pixels": np.stack(columns, axis=1).astype(np.float32) / np.float32(16)}


CASE = Digits()
