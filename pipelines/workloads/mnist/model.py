"""A convolutional network for pictures of 28 x 28 pixels: made to be accurate after minutes on two CPU cores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model and compiles it with a learning rate that rises for an epoch, then falls to nothing.

    Args:
        schema: the transformed features and the task.
        hyperparameters: `filters` of the first block (the second has twice as many), `dropout`, `learning_rate` at its
            peak; `steps_per_epoch` and `epochs` come from the trainer.
    """
    filters = hyperparameters["filters"]
    inputs = schema.inputs()
    x = layers.Reshape((28, 28, 1))(inputs["pixels"])
    x = RandomAffine(degrees=10, scale=0.1, shear=0.15, shift=1.5)(x)
    # The first stride comes at once: at 28 x 28, each convolution would cost as much as all that follow together.
    x = _convolution(x, filters, size=5, stride=2)
    x = _convolution(x, filters)
    x = _convolution(x, filters * 2, stride=2)
    x = _convolution(x, filters * 2)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dropout(hyperparameters["dropout"])(x)
    model = keras.Model(inputs, schema.outputs(x))
    model.compile(
        keras.optimizers.Adam(_one_cycle(hyperparameters)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _convolution(x: keras.KerasTensor, filters: int, size: int = 3, stride: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(momentum=0.95)(x))


def _one_cycle(hyperparameters: Mapping[str, Any]) -> keras.optimizers.schedules.LearningRateSchedule:
    peak, warmup = hyperparameters["learning_rate"], hyperparameters["steps_per_epoch"]
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / 10,
        warmup_target=peak,
        warmup_steps=warmup,
        decay_steps=max(1, warmup * (hyperparameters["epochs"] - 1)),
    )


@keras.saving.register_keras_serializable("trainyard.mnist")
class RandomAffine(layers.Layer):
    """Turns, scales, slants and shifts each picture at random while training; elsewhere hands it through.

    All four in one resampling: a chain of Keras's own layers resamples once each, and teaches the model blurred digits.

    Args:
        degrees: the greatest turn, in degrees.
        scale: the greatest change of width and of height, as a fraction.
        shear: the greatest slant, as a tangent.
        shift: the greatest shift, in pixels.
        seed: default: Keras's global one.
    """

    def __init__(
        self, degrees: float, scale: float, shear: float, shift: float, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._config = {"degrees": degrees, "scale": scale, "shear": shear, "shift": shift, "seed": seed}
        self._limits = (math.radians(degrees), scale, scale, shear, shift, shift)
        self._random = keras.random.SeedGenerator(seed)

    def call(self, images: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        """Maps [N, height, width, channels] to the same shape."""
        if not training:
            return images
        rows, (height, width) = ops.shape(images)[0], images.shape[1:3]
        drawn = keras.random.uniform((len(self._limits), rows), -1.0, 1.0, seed=self._random)
        angle, wider, higher, slant, right, down = (limit * drawn[i] for i, limit in enumerate(self._limits))
        # Where each output pixel is read from: [[a, b], [d, e]] around the centre, then the shift.
        cos, sin = ops.cos(angle), ops.sin(angle)
        a, b = cos * (1 + wider), (slant * cos - sin) * (1 + higher)
        d, e = sin * (1 + wider), (slant * sin + cos) * (1 + higher)
        x, y = (width - 1) / 2, (height - 1) / 2
        none = ops.zeros_like(a)
        transform = ops.stack([a, b, x - a * x - b * y + right, d, e, y - d * x - e * y + down, none, none], axis=1)
        return ops.image.affine_transform(images, transform, interpolation="bilinear", fill_mode="constant")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}
