"""The two small networks that everybody begins with, of dense layers and of convolutions, and one to train in private."""

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
        hyperparameters: `network`, dense, convolutional or bounded; `dropout`.
    """
    inputs = schema.inputs()
    network = {"dense": dense, "convolutional": convolutional, "bounded": bounded}[hyperparameters["network"]]
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


def bounded(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """[N, 28, 28, 1] -> [N, 32]; 25,000 weights, for `training.privacy`.

    Bounded activations keep gradients short, so that less is clipped (Papernot et al. 2021, "Tempered Sigmoid Activations for Deep
    Learning with Differential Privacy"); no layer mixes the rows of a batch.
    """
    x = layers.Conv2D(16, 8, strides=2, padding="same", activation="tanh")(pictures)
    x = layers.MaxPooling2D(2, strides=1)(x)
    x = layers.Conv2D(32, 4, strides=2, activation="tanh")(x)
    x = layers.MaxPooling2D(2, strides=1)(x)
    return layers.Dense(32, activation="tanh")(layers.Flatten()(x))
