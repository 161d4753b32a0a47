"""Three networks that read a sentence, convolutional, recurrent, and a Transformer, each beside a linear model of words and pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers, ops
from vocabulary import vectors  # type: ignore[import-not-found]  # beside this file

if TYPE_CHECKING:
    from components.trainer import ModelSchema

_PAIRS = 2**16  # places for pairs of words; pairs on the same place are taken for the same
_PRIME = 7919  # spreads them over the places
_SIZE = 16  # numbers that each of the two makes of a sentence


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled: wide and deep, as Cheng et al. (2016) call it.

    A network on word vectors knows which words are alike, and a linear model which were said: they err on different sentences.
    As members of one model each is trained by its own loss, so that the wide one, which soon knows train by heart, leaves the deep
    one as much to learn as it would have alone.

    Args:
        schema: the features that features.py returns, and the task.
        hyperparameters: `architecture`: cnn, lstm or transformer; its `units`; `word_dropout`, of whole words and of the vectors'
            dimensions; `dropout`, elsewhere.
    """
    inputs = schema.inputs()
    start = vectors()
    deep = _deep(inputs["words"], start, hyperparameters)
    wide = _wide(inputs["words"], len(start))
    return keras.Model(inputs, schema.outputs(ops.stack([deep, wide], axis=1)))


def _deep(words: keras.KerasTensor, start: np.ndarray, hyperparameters: Mapping[str, Any]) -> keras.KerasTensor:
    """What a network reads in the words' vectors, which learn with it from `start` on, [N, _SIZE]."""
    is_word = ops.not_equal(words, 0)
    there = ops.expand_dims(ops.cast(is_word, "float32"), -1)
    x = layers.Embedding(*start.shape, weights=[start])(words)
    x = layers.SpatialDropout1D(hyperparameters["word_dropout"])(x)
    x = layers.Dropout(hyperparameters["word_dropout"], noise_shape=(None, x.shape[1], 1))(x) * there
    read = {"cnn": _convolution, "lstm": _recurrence, "transformer": _attention}[hyperparameters["architecture"]]
    x = read(x, is_word, hyperparameters["units"], hyperparameters["dropout"])
    return layers.Dense(_SIZE)(layers.Dropout(hyperparameters["dropout"])(x))


def _wide(words: keras.KerasTensor, known: int) -> keras.KerasTensor:
    """What each word and each pair of neighbours says for itself, [N, _SIZE]: the sum over the root of how many there are.

    All begin at zero, so what train does not have says nothing.
    """
    pairs = known + (words[:, :-1] * _PRIME + words[:, 1:]) % _PAIRS
    said = layers.Concatenate()([words, ops.where(ops.equal(words[:, 1:], 0), 0, pairs)])
    there = ops.expand_dims(ops.cast(ops.not_equal(said, 0), "float32"), -1)
    x = layers.Embedding(known + _PAIRS, _SIZE, embeddings_initializer="zeros")(said)
    return ops.sum(x * there, axis=1) / ops.sqrt(1 + ops.sum(there, axis=1))


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
