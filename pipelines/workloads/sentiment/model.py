"""Three networks that read a sentence, on the same word vectors: convolutional, recurrent, and a Transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops
from vocabulary import vectors  # type: ignore[import-not-found]  # beside this file

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the features that features.py returns, and the task.
        hyperparameters: `architecture`: cnn, lstm or transformer; its `units`; `word_dropout`, of the vectors' dimensions;
            `dropout`, elsewhere.
    """
    inputs = schema.inputs()
    words = inputs["words"]
    start = vectors()
    is_word = ops.not_equal(words, 0)
    there = ops.expand_dims(ops.cast(is_word, "float32"), -1)
    x = layers.Embedding(*start.shape, weights=[start])(words)
    x = layers.SpatialDropout1D(hyperparameters["word_dropout"])(x) * there
    read = {"cnn": _convolution, "lstm": _recurrence, "transformer": _attention}[hyperparameters["architecture"]]
    x = read(x, is_word, hyperparameters["units"], hyperparameters["dropout"])
    x = layers.Dropout(hyperparameters["dropout"])(x)
    return keras.Model(inputs, schema.outputs(x))


def _convolution(x: keras.KerasTensor, is_word: keras.KerasTensor, units: int, dropout: float) -> keras.KerasTensor:
    """The strongest answers to phrases of two to four words, as Kim (2014) has it, [N, 3 units]."""
    phrases = [layers.Conv1D(units, size, padding="same", activation="relu")(x) for size in (2, 3, 4)]
    return layers.Concatenate()([layers.GlobalMaxPooling1D()(one) for one in phrases])


def _recurrence(x: keras.KerasTensor, is_word: keras.KerasTensor, units: int, dropout: float) -> keras.KerasTensor:
    """An LSTM in both directions, [N, 4 units]."""
    return _pooled(layers.Bidirectional(layers.LSTM(units, return_sequences=True))(x, mask=is_word), is_word)


def _attention(x: keras.KerasTensor, is_word: keras.KerasTensor, units: int, dropout: float) -> keras.KerasTensor:
    """One block of a Transformer, with a vector for each place, [N, 2 units]."""
    places = layers.Embedding(x.shape[1], units)(ops.arange(x.shape[1]))
    x = layers.Dense(units)(x) + places
    heads = 4
    normal = layers.LayerNormalization()(x)
    attention = layers.MultiHeadAttention(heads, units // heads, dropout=dropout)
    x += layers.Dropout(dropout)(attention(normal, normal, attention_mask=ops.expand_dims(is_word, 1)))
    wide = layers.Dense(2 * units, activation="gelu")(layers.LayerNormalization()(x))
    x += layers.Dropout(dropout)(layers.Dense(units)(wide))
    return _pooled(layers.LayerNormalization()(x), is_word)


def _pooled(x: keras.KerasTensor, is_word: keras.KerasTensor) -> keras.KerasTensor:
    """The mean and the maximum over the words, [N, 2 d]."""
    there = ops.expand_dims(ops.cast(is_word, "float32"), -1)
    mean = ops.sum(x * there, axis=1) / ops.maximum(ops.sum(there, axis=1), 1)
    return layers.Concatenate()([mean, ops.max(x * there, axis=1)])
