"""Wide and deep: categories speak to the output directly, and to a small network together with the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the transformed features and the task.
        hyperparameters: `embedding_size`, `hidden_units`, `dropout`.
    """
    inputs = schema.inputs()
    numbers, embedded, one_hot = [], [], []
    for name, feature in schema.features.items():
        if feature.vocabulary_size is None:
            numbers.append(layers.Reshape((1,))(inputs[name]))
        else:
            size = feature.vocabulary_size
            embedded.append(layers.Embedding(size, hyperparameters["embedding_size"])(inputs[name]))
            one_hot.append(layers.CategoryEncoding(size, output_mode="one_hot")(layers.Reshape((1,))(inputs[name])))
    units = hyperparameters["hidden_units"]
    deep = layers.Concatenate()([*numbers, *embedded])
    for width in (units, units // 2):
        deep = layers.Dense(width, activation="relu")(deep)
        deep = layers.Dropout(hyperparameters["dropout"])(deep)
    return keras.Model(inputs, schema.outputs(layers.Concatenate()([deep, *one_hot])))
