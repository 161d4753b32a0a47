"""A spectral filter of the graph of who was where: nothing is learnt step by step.

Where LightGCN's paper trains for a thousand epochs, the links' leading singular vectors are found once (`components.tasks.spectral`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from components.tasks.spectral import links_of, spectral
from components.tasks.towers import Towers

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the transformed features, and who was where in train.
        hyperparameters: `embedding_size`; `smoothing`, how many links more each user and place is taken to have.
    """
    assert schema.interactions is not None
    inputs = schema.inputs()
    users, places = (schema.features[name].vocabulary_size or 0 for name in ("user", "place"))
    links = links_of(schema.interactions, (users, places))
    found = spectral(links, hyperparameters["embedding_size"], 1.0, hyperparameters["smoothing"])
    user, place = (
        keras.Model(
            {name: inputs[name]}, layers.Embedding(*vectors.shape, weights=[vectors], trainable=False)(inputs[name])
        )
        for name, vectors in zip(("user", "place"), found, strict=True)
    )
    return Towers(user, place)
