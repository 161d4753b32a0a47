"""Text of about 100 words a row: split into words and looked up in a vocabulary by TFT, averaged embeddings in Keras."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.pipeline import by_hand
from benchmarks.pipeline.case import Case, Column
from benchmarks.pipeline.csv_files import blocks, write_csv

if TYPE_CHECKING:
    import keras

    from components.trainer import ModelSchema

_SEED = 13
_WORDS = 20_000  # made up; the n-th occurs 1/n times as often as the first
_TOP_K = 10_000
_LENGTH = 128  # longer texts are truncated, shorter ones padded
_MEAN_LENGTH = 100
_TELLING = 0.05  # share of words that depend on the label
_SOURCES = ("mail", "web", "phone", "chat")
_FEATURE = "words"
_ROWS_PER_BLOCK = 10_000


class Text(Case):
    title = "text of 100 words a row"
    label = "label"
    slice_by = "source"
    columns = (
        Column("text", "BYTES"),
        Column("source", "BYTES"),
        Column("label", "INT", more="int_domain { min: 0 max: 1 }"),
    )
    hyperparameters = {"learning_rate": 0.01, "embedding_size": 16}
    default_rows = 50_000

    def generate(self, rows: int, folder: pathlib.Path) -> None:
        random = np.random.default_rng(_SEED)
        words = _made_up_words(random)
        schema = pa.schema([("text", pa.string()), ("source", pa.string()), ("label", pa.int64())])
        write_csv(folder / "text.csv", schema, (_block(n, words, random) for n in blocks(rows, _ROWS_PER_BLOCK)))

    def preprocessing_fn(self, inputs: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf
        import tensorflow_transform as tft

        words = tf.strings.split(tf.strings.lower(inputs["text"])).to_sparse()
        ids = tft.compute_and_apply_vocabulary(words, top_k=_TOP_K, num_oov_buckets=1, vocab_filename="words")
        # 0 is padding; words begin at 1.
        dense = tf.RaggedTensor.from_sparse(ids.with_values(ids.values + 1)).to_tensor(shape=[None, _LENGTH])
        return {_FEATURE: tf.ensure_shape(dense, [None, _LENGTH])}

    def build_model(self, schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
        import keras
        from keras import layers

        inputs = schema.inputs()
        words = inputs[_FEATURE]
        embedded = layers.Embedding(_TOP_K + 2, hyperparameters["embedding_size"])(words)
        there = layers.Reshape((_LENGTH, 1))(keras.ops.cast(keras.ops.not_equal(words, 0), "float32"))
        mean = keras.ops.sum(embedded * there, axis=1) / (keras.ops.sum(there, axis=1) + 1e-6)
        return keras.Model(inputs, schema.outputs(mean))

    def analyse(self, train: pa.Table) -> Any:
        return by_hand.vocabulary(_split(train).flatten(), _TOP_K)

    def transform(self, table: pa.Table, analysed: Any) -> dict[str, np.ndarray]:
        words = _split(table)
        ids = by_hand.ids(words.flatten(), analysed) + 1
        lengths = pc.list_value_length(words).to_numpy()
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        places = np.arange(len(ids)) - np.repeat(starts, lengths)
        kept = places < _LENGTH
        filled = np.zeros((len(table), _LENGTH), np.int64)
        filled[np.repeat(np.arange(len(table)), lengths)[kept], places[kept]] = ids[kept]
        return {_FEATURE: filled}


def _split(table: pa.Table) -> pa.ListArray:
    return pc.utf8_split_whitespace(pc.utf8_lower(table.column("text"))).combine_chunks()


def _made_up_words(random: np.random.Generator) -> np.ndarray:
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < _WORDS:
        found["".join(random.choice(syllables, random.integers(1, 5)))] = None
    return np.array(list(found), dtype=object)


def _block(rows: int, words: np.ndarray, random: np.random.Generator) -> pa.Table:
    frequency = np.cumsum(1 / np.arange(1, _WORDS + 1))
    labels = random.integers(0, 2, rows)
    lengths = np.clip(random.normal(_MEAN_LENGTH, 15, rows), 5, None).astype(np.int64)
    total = int(lengths.sum())
    places = np.searchsorted(frequency, random.random(total) * frequency[-1])
    # Words that depend on the label are even or odd by it, four times in five.
    telling = random.random(total) < _TELLING
    wanted = np.repeat(labels, lengths) ^ (random.random(total) < 0.2)
    places = np.where(telling, (places - places % 2 + wanted).clip(0, _WORDS - 1), places)
    drawn = words[places]
    ends = np.cumsum(lengths)
    texts = [" ".join(drawn[end - n : end]) for end, n in zip(ends, lengths, strict=True)]
    return pa.table(
        {"text": texts, "source": random.choice(_SOURCES, rows), "label": pa.array(labels.astype(np.int64))}
    )


CASE = Text()
