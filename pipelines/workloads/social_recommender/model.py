"""Two towers: a user is a number, somebody new the mean of the friends; an artist is a number.

Both begin at the singular vectors of who listens to whom, as graph_recommender's network does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from components.tasks.spectral import links_of, spectral
from components.tasks.towers import Towers

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the transformed features, and who had what in train.
        hyperparameters: `embedding_size`; `scale`, the mean length of the first embeddings; `dropout`, how often training takes
            a user for a new one.
    """
    assert schema.interactions is not None
    shape = tuple(schema.features[name].vocabulary_size or 0 for name in ("user", "artist"))
    links = links_of(schema.interactions, (shape[0], shape[1]))
    size = hyperparameters["embedding_size"]
    users, artists = (
        layers.Embedding(*first.shape, embeddings_initializer=keras.initializers.Constant(first))
        for first in spectral(links, size, hyperparameters["scale"])
    )
    inputs = schema.inputs()
    nobody = shape[0] - 1
    is_known = ops.expand_dims(ops.cast(inputs["friends"] < nobody, "float32"), -1)
    friends = ops.sum(users(inputs["friends"]) * is_known, axis=1) / ops.maximum(ops.sum(is_known, axis=1), 1.0)
    # 1 where the user has a number of the own that counts, 0 where train lacks it, or training pretends that.
    is_itself = ops.cast(inputs["user"] < nobody, "float32")
    is_itself = ops.expand_dims(ops.sign(layers.Dropout(hyperparameters["dropout"])(is_itself)), -1)
    user = is_itself * users(inputs["user"]) + (1.0 - is_itself) * friends
    query = keras.Model({name: inputs[name] for name in ("user", "friends")}, user)
    return Towers(query, keras.Model({"artist": inputs["artist"]}, artists(inputs["artist"])))
