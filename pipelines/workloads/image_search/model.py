"""A space in which photos of one kind are near to each other, on top of what SqueezeNet sees in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from components.tasks.towers import Towers

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled: one tower, as photos are searched by photos.

    Args:
        schema: the transformed features and the task.
        hyperparameters: `embedding_size`, `dropout`, `temperature`: smaller ones make near misses count more.
    """
    inputs = schema.inputs()
    x = layers.BatchNormalization()(inputs["seen"])
    x = layers.Dropout(hyperparameters["dropout"])(x)
    tower = keras.Model(inputs, layers.Dense(hyperparameters["embedding_size"])(x))
    return Towers(tower, tower, similarity="cosine", temperature=hyperparameters["temperature"])
