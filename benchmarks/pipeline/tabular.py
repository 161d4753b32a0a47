"""Tables of any width: columns of floats, integers and words, and a label that depends on some of each."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks.pipeline import by_hand
from benchmarks.pipeline.case import Case, Column
from benchmarks.pipeline.csv_files import blocks, write_csv

if TYPE_CHECKING:
    import keras

    from components.trainer import ModelSchema

_SEED = 11
_WORDS = 50  # distinct words in a column
_TOP_K = 40
_SLICES = 8  # distinct words in the first column of words
_MISSING = 0.1  # share of missing values in every fourth column of floats
_NUMBERS_A_BLOCK = 10_000_000


class Table(Case):
    """`floats` + `ints` + `words` columns and a label; numbers are standardised, words are looked up.

    Every fourth float column lacks a tenth of its values. The label depends on the first two columns of each kind.
    """

    label = "label"
    slice_by = "word_000"
    hyperparameters = {"learning_rate": 0.002, "embedding_size": 4, "hidden_units": 32}

    def __init__(self, floats: int, ints: int, words: int) -> None:
        self._floats = [f"float_{i:03}" for i in range(floats)]
        self._ints = [f"int_{i:03}" for i in range(ints)]
        self._words = [f"word_{i:03}" for i in range(words)]
        self._sparse = set(self._floats[3::4])
        self.columns = (
            *(Column(name, "FLOAT", required=name not in self._sparse) for name in self._floats),
            *(Column(name, "INT") for name in self._ints),
            *(Column(name, "BYTES") for name in self._words),
            Column(self.label, "INT", more="int_domain { min: 0 max: 1 }"),
        )

    def generate(self, rows: int, folder: pathlib.Path) -> None:
        random = np.random.default_rng(_SEED)
        kinds = {"FLOAT": pa.float64(), "INT": pa.int64(), "BYTES": pa.string()}
        schema = pa.schema([(column.name, kinds[column.type]) for column in self.columns])
        sizes = blocks(rows, _NUMBERS_A_BLOCK // len(self.columns))
        write_csv(folder / "table.csv", schema, (self._block(count, random).cast(schema) for count in sizes))

    def _block(self, rows: int, random: np.random.Generator) -> pa.Table:
        known = pa.array([f"value {i}" for i in range(_WORDS)])
        columns: dict[str, pa.Array] = {}
        score = np.zeros(rows)
        for number, name in enumerate(self._floats):
            values = random.standard_normal(rows)
            score += values if number < 2 else 0
            lost = random.random(rows) < _MISSING if name in self._sparse else None
            columns[name] = pa.array(values.round(6), mask=lost)
        for number, name in enumerate(self._ints):
            whole = random.integers(0, 1000, rows)
            score += whole / 500 - 1 if number < 2 else 0
            columns[name] = pa.array(whole)
        for number, name in enumerate(self._words):
            # Squared: some words are frequent, most are not.
            places = (random.random(rows) ** 2 * (_WORDS if number else _SLICES)).astype(np.int64)
            score += (places % 4 - 1.5) / 2 if number < 2 else 0
            columns[name] = known.take(pa.array(places))
        columns[self.label] = pa.array((score + random.standard_normal(rows) > 0).astype(np.int64))
        return pa.table(columns)

    def preprocessing_fn(self, inputs: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf
        import tensorflow_transform as tft

        features = {}
        for name in (*self._floats, *self._ints):
            column = inputs[name]
            if name in self._sparse:
                scaled = tft.scale_to_z_score(column)
                one_a_row = tf.SparseTensor(scaled.indices, scaled.values, [scaled.dense_shape[0], 1])
                features[name] = tf.squeeze(tf.sparse.to_dense(one_a_row, 0.0), axis=1)
            else:
                features[name] = tft.scale_to_z_score(tf.cast(column, tf.float32))
        for name in self._words:
            features[name] = tft.compute_and_apply_vocabulary(
                inputs[name], top_k=_TOP_K, num_oov_buckets=1, vocab_filename=name
            )
        return features

    def build_model(self, schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
        import keras
        from keras import layers

        inputs = schema.inputs()
        parts = []
        for name, feature in schema.features.items():
            if feature.vocabulary_size is None:
                parts.append(layers.Reshape((1,))(inputs[name]))
            else:
                parts.append(layers.Embedding(feature.vocabulary_size, hyperparameters["embedding_size"])(inputs[name]))
        x = layers.Dense(hyperparameters["hidden_units"], activation="relu")(layers.Concatenate()(parts))
        return keras.Model(inputs, schema.outputs(x))

    def analyse(self, train: pa.Table) -> Any:
        analysed: dict[str, Any] = {
            name: by_hand.moments(train.column(name).to_numpy()) for name in (*self._floats, *self._ints)
        }
        return analysed | {name: by_hand.vocabulary(train.column(name), _TOP_K) for name in self._words}

    def transform(self, table: pa.Table, analysed: Any) -> dict[str, np.ndarray]:
        data = {
            name: by_hand.standardised(table.column(name).to_numpy(), *analysed[name])
            for name in (*self._floats, *self._ints)
        }
        return data | {name: by_hand.ids(table.column(name), analysed[name]) for name in self._words}

    def vocabulary_sizes(self, analysed: Any) -> dict[str, int]:
        return {name: len(analysed[name]) + 1 for name in self._words}
