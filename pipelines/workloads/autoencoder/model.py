"""784 pixels to 32, to a code of 16 numbers, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from components.autoencoder import Autoencoder

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model and compiles it with a learning rate that rises for an epoch, then falls to nothing.

    Args:
        schema: the transformed features and the task.
        hyperparameters: `width` of the layers between pixels and code, numbers of the `code`, `learning_rate` at its peak;
            `steps_per_epoch` and `epochs` come from the trainer.
    """
    width, size = hyperparameters["width"], hyperparameters["code"]
    inputs = schema.inputs()
    code = layers.Dense(size)(layers.Dense(width, activation="gelu")(inputs["pixels"]))
    given = keras.Input((size,), name="code")
    pixels = schema.outputs(layers.Dense(width, activation="gelu")(given))
    model = Autoencoder(keras.Model(inputs, code), keras.Model(given, pixels))
    model.compile(keras.optimizers.Adam(_one_cycle(hyperparameters)), loss="mse")
    return model


def _one_cycle(hyperparameters: Mapping[str, Any]) -> keras.optimizers.schedules.LearningRateSchedule:
    peak, warmup = hyperparameters["learning_rate"], hyperparameters["steps_per_epoch"]
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / 10,
        warmup_target=peak,
        warmup_steps=warmup,
        decay_steps=max(1, warmup * (hyperparameters["epochs"] - 1)),
    )
