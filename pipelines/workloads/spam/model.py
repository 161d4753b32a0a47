"""A recurrent network that reads a message in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the features that features.py returns, and the task.
        hyperparameters: `embedding_size` of a word, `units` of the LSTM in each direction, `dropout`.
    """
    dropout = hyperparameters["dropout"]
    inputs = schema.inputs()
    words, known = inputs["words"], inputs["known"]
    there = ops.expand_dims(known, -1)
    x = layers.Embedding(schema.features["words"].vocabulary_size, hyperparameters["embedding_size"])(words)
    x = layers.SpatialDropout1D(dropout)(x)
    # With the mask, the backward direction begins at the last word, and not at the padding.
    lstm = layers.LSTM(hyperparameters["units"], return_sequences=True)
    x = layers.Bidirectional(lstm)(x, mask=ops.cast(known, "bool")) * there
    strongest = ops.max(x - (1 - there), axis=1)  # what the LSTM answers lies above -1
    x = layers.Dropout(dropout)(strongest)
    return keras.Model(inputs, schema.outputs(x))
