"""LightGCN: a user is the mean of the artists listened to, and those of their listeners, a few steps along the graph.

He et al. 2020, "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation". The embeddings begin not at
random but at the graph's own leading singular vectors: where the paper takes a thousand epochs, a few are left to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf
from keras import ops

from components.tasks.spectral import links_of, normalised, spectral

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds the model, uncompiled.

    Args:
        schema: the transformed features, and who had what in train.
        hyperparameters: `embedding_size`, `steps` along the graph, `scale` of the first embeddings.
    """
    assert schema.query is not None and schema.interactions is not None
    names = (schema.query, schema.task_options["item"])
    users, items = (schema.features[name].vocabulary_size for name in names)
    links = links_of(schema.interactions, (users or 0, items or 0))
    first = np.concatenate(spectral(links, hyperparameters["embedding_size"], hyperparameters["scale"]))
    model = LightGCN(links, *names, embedding_size=first.shape[1], steps=hyperparameters["steps"])
    model.first.assign(first)
    return model


@keras.saving.register_keras_serializable("trainyard.graph_recommender")
class LightGCN(keras.Model):
    """Embeddings of users and items, spread along the graph of who had what; those of nobody's node stay zero.

    Args:
        links: 1 where a user had an item, [users, items].
        user: the feature that numbers users.
        item: the feature that numbers items.
        embedding_size: d.
        steps: how far embeddings are spread.
    """

    def __init__(
        self, links: scipy.sparse.csr_array, user: str, item: str, embedding_size: int, steps: int, **options: Any
    ) -> None:
        super().__init__(**options)
        self._links = links
        self._user, self._item, self._steps = user, item, steps
        self._users = links.shape[0]
        self._graph = _neighbours(normalised(links))
        self.first = self.add_weight(shape=(sum(links.shape), embedding_size), initializer="zeros", name="first")
        # What `freeze` keeps: a request does not walk the graph.
        self.last = self.add_weight(shape=self.first.shape, initializer="zeros", trainable=False, name="last")
        self._is_frozen = False

    def queries(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Embeddings of users, [N, d]."""
        return ops.take(self._nodes(), features[self._user], axis=0)

    def items(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Embeddings of items, [N, d]."""
        return ops.take(self._nodes(), features[self._item] + self._users, axis=0)

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """Both embeddings of each row, [N, 2, d]."""
        nodes = self._nodes()  # once a step, for users and items
        both = ops.stack([inputs[self._user], inputs[self._item] + self._users], axis=1)
        return ops.take(nodes, both, axis=0)

    def get_config(self) -> dict[str, Any]:
        pairs = [one.tolist() for one in self._links.nonzero()]
        links = {"pairs": pairs, "shape": list(self._links.shape)}
        names = {"user": self._user, "item": self._item}
        return {"name": self.name, "links": links, **names, "embedding_size": self.first.shape[1], "steps": self._steps}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        links = config["links"]
        return cls(**{**config, "links": links_of(np.transpose(links["pairs"]), tuple(links["shape"]))})

    def freeze(self) -> None:
        """Spreads the embeddings once and for all."""
        self.last.assign(self._nodes())
        self._is_frozen = True

    def _nodes(self) -> Any:
        if self._is_frozen:
            return ops.convert_to_tensor(self.last)
        step = total = ops.convert_to_tensor(self.first)
        for _ in range(self._steps):
            step = ops.matmul(self._graph, step)
            total = total + step
        return total / (self._steps + 1)


def _neighbours(shares: scipy.sparse.csr_array) -> tf.SparseTensor:
    """Users and items as one graph, [users + items, users + items]."""
    graph = scipy.sparse.block_array([[None, shares], [shares.T, None]], format="csr").tocoo()
    return tf.SparseTensor(np.stack([graph.row, graph.col], axis=1), graph.data.astype(np.float32), graph.shape)
