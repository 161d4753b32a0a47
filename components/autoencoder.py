"""A model of two halves, of which each is of use alone: `from components.autoencoder import Autoencoder` in a model.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import keras


@keras.saving.register_keras_serializable("trainyard")
class Autoencoder(keras.Model):
    """Makes the features again from a short code of them.

    Args:
        encoder: features by name [N, ...] -> code [N, d].
        decoder: code [N, d] -> what `schema.outputs` gives.

    Example:
        inputs, code = schema.inputs(), keras.Input((16,))
        encoder = keras.Model(inputs, keras.layers.Dense(16)(inputs["pixels"]))
        decoder = keras.Model(code, schema.outputs(code))
        model = Autoencoder(encoder, decoder)
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, **options: Any) -> None:
        super().__init__(**options)
        self.encoder, self.decoder = encoder, decoder

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        return self.decoder(self.encoder(features, training=training), training=training)

    def get_config(self) -> dict[str, Any]:
        halves = {"encoder": self.encoder, "decoder": self.decoder}
        return {"name": self.name, **keras.saving.serialize_keras_object(halves)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        return cls(**keras.saving.deserialize_keras_object(config, custom_objects))
