"""Two networks whose answers lie in one space: what is near to a query there is retrieved for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import keras
from keras import ops

from components.tasks._base import DRAWN
from spec.errors import InputError


@keras.saving.register_keras_serializable("trainyard")
class Towers(keras.Model):
    """A tower for queries and one for items.

    Serving asks `queries` and `items` apart; a model of another make, such as one that looks at a graph, overrides these two.

    Args:
        query: a `keras.Model` of a dictionary of features: {name: [N, ...]} -> [N, d].
        item: the same of an item's features; may be `query` itself, where items are searched by items.
        similarity: dot, or cosine: both embeddings are brought to length 1.
        temperature: by which similarities are divided in training; smaller ones make near misses count more.

    Example:
        inputs = schema.inputs()
        user, artist = (keras.layers.Embedding(schema.features[n].vocabulary_size, 64)(inputs[n]) for n in ("user", "artist"))
        return Towers(keras.Model({"user": inputs["user"]}, user), keras.Model({"artist": inputs["artist"]}, artist))
    """

    def __init__(
        self,
        query: keras.Model,
        item: keras.Model,
        similarity: Literal["dot", "cosine"] = "dot",
        temperature: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        for name, tower in (("query", query), ("item", item)):
            if not isinstance(getattr(tower, "input", None), Mapping):
                raise ValueError(
                    f"Towers: {name} must be a keras.Model of a dictionary of features: keras.Model({{'user': ...}}, x). "
                    f"Received: {tower!r}."
                )
        if similarity not in ("dot", "cosine"):
            raise ValueError(f"Towers: similarity is dot or cosine. Received: {similarity!r}.")
        self.query, self.item = query, item
        self.similarity, self.temperature = similarity, temperature

    def queries(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Transformed features by name, [N, ...] -> embeddings of queries, [N, d]."""
        return self._embed(self.query, features, training)

    def items(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Transformed features by name, [N, ...] -> embeddings of items, [N, d]."""
        return self._embed(self.item, features, training)

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """Both embeddings of each row, [N, 2, d], and those of the k items drawn for it, if there are some, [N, 2 + k, d].

        A dot product of the first with another one is the similarity over the temperature.
        """
        queries = self.queries(inputs, training)
        items = queries if self.item is self.query else self.items(inputs, training)
        both = ops.stack([queries / self.temperature, items], axis=1)
        drawn = {name.removeprefix(DRAWN): value for name, value in inputs.items() if name.startswith(DRAWN)}
        if not drawn:
            return both
        count = next(iter(drawn.values())).shape[1]
        flat = {name: ops.reshape(value, [-1, *value.shape[2:]]) for name, value in drawn.items()}
        return ops.concatenate([both, ops.reshape(self.items(flat, training), [-1, count, items.shape[1]])], axis=1)

    def get_config(self) -> dict[str, Any]:
        towers = keras.saving.serialize_keras_object({"query": self.query, "item": self.item})
        return {"name": self.name, "similarity": self.similarity, "temperature": self.temperature, **towers}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        return cls(**keras.saving.deserialize_keras_object(config, custom_objects))

    def _embed(self, tower: keras.Model, features: Mapping[str, Any], training: bool) -> Any:
        if missing := [name for name in tower.input if name not in features]:
            raise InputError(
                f"model.py: a tower takes {', '.join(map(repr, missing))}, which the columns given to it do not suffice for. "
                "Name the columns that features.py makes it of in task_options.query_columns or item_columns."
            )
        found = tower({name: features[name] for name in tower.input}, training=training)
        return ops.normalize(found, axis=-1) if self.similarity == "cosine" else found
