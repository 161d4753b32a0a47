"""A residual network of any width and depth, for small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

if TYPE_CHECKING:
    from components.trainer import ModelSchema

_STAGES = 3


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the transformed features and the task.
        hyperparameters: `width`, filters of the first stage; `depth`, residual blocks a stage; `dropout`.
    """
    inputs = schema.inputs()
    x = network(inputs["image"], hyperparameters["width"], hyperparameters["depth"])
    return keras.Model(inputs, schema.outputs(layers.Dropout(hyperparameters["dropout"])(x)))


def network(images: keras.KerasTensor, width: int, depth: int) -> keras.KerasTensor:
    """Pictures [N, H, W, C] -> what is seen in each on the whole, [N, 4 * width].

    Three stages, each of half the height and width of the one before and twice the filters. The work grows with depth and with the
    square of width; at width 24 and depth 1 it is 11 million multiplications for a picture of 32 x 32 pixels.
    """
    x = _convolution(images, width)
    for stage in range(_STAGES):
        filters = width * 2**stage
        # The first stride comes at once: blocks at full size would cost as much as all that follow together.
        x = _convolution(x, filters, stride=2)
        for _ in range(depth):
            inner = _convolution(x, filters)
            x = layers.Activation("relu")(layers.Add()([x, _convolution(inner, filters, activation=None)]))
    return layers.GlobalAveragePooling2D()(x)


def _convolution(
    x: keras.KerasTensor, filters: int, stride: int = 1, activation: str | None = "relu"
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.Activation(activation)(x) if activation else x
