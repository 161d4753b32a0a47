"""A U-Net: halves the picture down to where a pixel sees a whole digit, and up again with what each size had kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds and compiles the model (Ronneberger et al. 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation").

    Args:
        schema: the transformed features and the task.
        hyperparameters: `filters` at half size, twice as many at each half of that; `halvings` from there on; `dropout` at the
            smallest size; `learning_rate`, which falls to nearly nothing; `weight_decay`; `steps_per_epoch` and `epochs` come
            from the trainer.
    """
    inputs = schema.inputs()
    filters, halvings = hyperparameters["filters"], hyperparameters["halvings"]
    # Half size from the first layer to the last: the pixels of a 2 x 2 patch go into the filters, and come out of them again.
    x, kept = _convolution(inputs["picture"], filters, size=4, stride=2), []
    for depth in range(1, halvings + 1):
        kept.append(x)
        x = layers.MaxPooling2D()(x)
        x = _convolution(_convolution(x, filters * 2**depth), filters * 2**depth)
    x = layers.SpatialDropout2D(hyperparameters["dropout"])(x)
    for depth in reversed(range(halvings)):
        # Fewer filters first: at twice the size, each costs four times as much.
        x = layers.UpSampling2D()(layers.Conv2D(filters * 2**depth, 1, use_bias=False)(x))
        x = _convolution(layers.Concatenate()([x, kept[depth]]), filters * 2**depth)
    x = _normalised(layers.Conv2DTranspose(filters, 2, strides=2, use_bias=False)(x))
    model = keras.Model(inputs, schema.outputs(x))
    steps = hyperparameters["steps_per_epoch"] * hyperparameters["epochs"]
    rate = keras.optimizers.schedules.CosineDecay(hyperparameters["learning_rate"], steps, alpha=0.01)
    # Which pixels are ink is learnt first, by gradients far larger than those of which digit it is. With the usual memory of a
    # thousand steps (0.999) Adam goes on dividing by them, and the digits come epochs later.
    optimizer = keras.optimizers.AdamW(rate, weight_decay=hyperparameters["weight_decay"], beta_2=0.98)
    model.compile(optimizer, loss=schema.kind.loss(schema), metrics=schema.kind.training_metrics())
    return model


def _convolution(x: keras.KerasTensor, filters: int, size: int = 3, stride: int = 1) -> keras.KerasTensor:
    return _normalised(layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x))


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Activation("relu")(layers.BatchNormalization(momentum=0.95)(x))
