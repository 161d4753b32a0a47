"""Two towers: one knows users by number and profile, one films by number, title, year and genres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from components.tasks.towers import Towers

if TYPE_CHECKING:
    from components.trainer import ModelSchema

USER = ("user", "ages", "gender", "occupation", "zip_region")
FILM = ("item", "decades", "genres", "words")


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the transformed features and the task.
        hyperparameters: `embedding_size`, `dropout`, `temperature`: smaller ones make near misses count more.
    """
    inputs = schema.inputs()

    def tower(names: tuple[str, ...]) -> keras.Model:
        size = hyperparameters["embedding_size"]
        parts = []
        for name in names:
            ids = schema.features[name].vocabulary_size
            parts.append(layers.Embedding(ids, size)(inputs[name]) if ids else layers.Dense(size)(inputs[name]))
        # The sum, so that a new user's or film's number, which says nothing, leaves what its profile says.
        x = layers.Dropout(hyperparameters["dropout"])(layers.Add()(parts))
        deeper = layers.Dense(size)(layers.Dense(2 * size, activation="relu")(x))
        return keras.Model({name: inputs[name] for name in names}, layers.Add()([x, deeper]))

    return Towers(tower(USER), tower(FILM), similarity="cosine", temperature=hyperparameters["temperature"])
