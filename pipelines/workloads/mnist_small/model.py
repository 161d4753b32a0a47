"""The two small networks that everybody begins with: of dense layers, and of convolutions."""

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
        hyperparameters: `network`, dense or convolutional; `dropout`.
    """
    inputs = schema.inputs()
    network = {"dense": dense, "convolutional": convolutional}[hyperparameters["network"]]
    return keras.Model(inputs, schema.outputs(layers.Dropout(hyperparameters["dropout"])(network(inputs["picture"]))))


def dense(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """[N, 28, 28, 1] -> [N, 64]; 109,000 weights."""
    x = layers.Dense(128, activation="relu")(layers.Flatten()(pictures))
    return layers.Dense(64, activation="relu")(x)


def convolutional(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """[N, 28, 28, 1] -> [N, 1600]; 19,000 weights."""
    x = pictures
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.95)(x))
        x = layers.MaxPooling2D()(x)
    return layers.Flatten()(x)
