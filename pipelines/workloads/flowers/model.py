"""SqueezeNet with ImageNet's weights, of which the last layers are trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers
from squeezenet import squeezenet  # type: ignore[import-not-found]  # beside this file

from components.assets import asset_path

_GAIN = 4.0

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the transformed features and the task.
        hyperparameters: `learns_from`, the first of SqueezeNet's fire modules (2 to 9) that is trained, 10: none; `dropout`.
    """
    inputs = schema.inputs()
    x = squeezenet(inputs["image"], asset_path("squeezenet"), hyperparameters["learns_from"])
    # The new layer has all to learn, and those before it little: large inputs make its steps large.
    x = layers.BatchNormalization(momentum=0.9, gamma_initializer=keras.initializers.Constant(_GAIN))(x)
    model = keras.Model(inputs, schema.outputs(layers.Dropout(hyperparameters["dropout"])(x)))
    # From zero: at random it would be wrong with certainty at first, and spoil the layers before it by what it sends back.
    last = next(layer for layer in reversed(model.layers) if isinstance(layer, layers.Dense))
    last.kernel.assign(keras.ops.zeros_like(last.kernel))
    return model
