"""A small convolutional network for pictures of 8 x 8 pixels."""

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
        hyperparameters: `filters` of the first block (the second has twice as many), `dropout`.
    """
    filters, dropout = hyperparameters["filters"], hyperparameters["dropout"]
    inputs = schema.inputs()
    x = layers.Reshape((8, 8, 1))(inputs["pixels"])
    # A pixel is an eighth of the picture: larger shifts or turns would make another digit of it.
    x = layers.RandomTranslation(0.1, 0.1, fill_mode="constant")(x)
    for width in (filters, filters * 2):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.Dropout(dropout)(layers.Dense(filters * 2, activation="relu")(x))
    return keras.Model(inputs, schema.outputs(x))
