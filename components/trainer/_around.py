"""What lies around a network that another runtime computes: its features before it, its answers after it, and no weights."""

from __future__ import annotations

import pathlib
import types
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

import answering
from components.tasks import ModelSchema
from components.trainer._export import RawColumns, graph
from components.trainer.late import Late
from spec.errors import InputError


class AroundNetwork(RawColumns):
    """The two signatures between which `answering` runs a network.

    Args:
        names: what the network calls each feature.
    """

    def __init__(
        self,
        transform: tft.TFTransformOutput,
        schema: ModelSchema,
        threshold: float,
        late: Late,
        names: Mapping[str, str],
    ) -> None:
        super().__init__(transform, schema, threshold, late)
        shape = [None, *schema.kind.head_shape(schema)]

        def features(**raw: tf.Tensor) -> dict[str, Any]:
            made = self.features(self.from_dense(raw, self.columns))
            return {names[feature]: made[feature] for feature in schema.features}

        def answers(output: tf.Tensor) -> dict[str, Any]:
            try:
                return self._task.answers(output, {}, None)
            except (KeyError, AttributeError, TypeError) as error:
                raise InputError(
                    f"task {schema.task} does not answer by the network's output alone ({type(error).__name__}: {error}). Take "
                    "keras-int8 or pruned, or set takes_variants = False in the task"
                ) from error

        # Read-only: TensorFlow would track each entry of a dictionary.
        self._signatures = types.MappingProxyType(
            {
                answering.FEATURES: graph(features).get_concrete_function(**self.raw_inputs(self.columns)),
                answering.ANSWERS: graph(answers).get_concrete_function(
                    **{answering.OUTPUT: tf.TensorSpec(shape, tf.float32, answering.OUTPUT)}
                ),
            }
        )

    def save(self, folder: pathlib.Path) -> None:
        """Writes the SavedModel."""
        tf.saved_model.save(self, str(folder), signatures=dict(self._signatures))
