"""A trained model again, for whoever makes other forms of it: fitted as it was, trained further, exported anew."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import answering
from components.served_model import SERVING_FOLDER, ServedModel
from components.tasks import ModelSchema
from components.trainer import _export, _fitting, _start, training
from components.trainer._around import AroundNetwork
from components.trainer._config import TrainingConfig
from components.trainer.sources import Sources
from spec.errors import InputError

# What the weights begin as, in the words of a training that begins with a release.
_ITSELF = {"model": "model", "version": "trained"}
_ALONE = {
    "distribution": "none",
    "mixed_precision": False,
    "start_from": _start.release_name(_ITSELF),
    "teacher": None,
    "privacy": None,
}
_LOOKED_AT, _BATCH = 10_000, 1000


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model that the Trainer exported, with what it was trained on.

    Attributes:
        config: of its training, but on one device, and by the labels alone.
        described: what its SavedModel says of it.
    """

    material: training.Material
    config: TrainingConfig
    described: ServedModel

    @classmethod
    def open(cls, sources: Sources, config: TrainingConfig, model: str) -> Trained:
        """Reads the model, and looks through train and eval.

        Args:
            model: URI of the artifact.

        Raises:
            InputError: as `Material.open` does.
        """
        config = config.model_copy(update=_ALONE)
        training.find_devices(config)
        saved_model = pathlib.Path(model) / SERVING_FOLDER
        training.seed(config)
        origin = _start.Origin.of(saved_model, _ITSELF)
        material = dataclasses.replace(training.Material.open(sources, config), origin=origin)
        return cls(material, config, ServedModel.read(saved_model))

    @property
    def schema(self) -> ModelSchema:
        """What the model is built for."""
        return self.material.schema

    def fitted(self) -> keras.Model:
        """The model with the weights that were exported.

        Raises:
            InputError: build_model does not make the same model again.
        """
        training.seed(self.config)  # layers are called as they were
        model, start = self.material.build(self.config)
        self._insist_on_all(start or {})
        _fitting.freeze(model, self.material.sources.module_file, self.material.sources.module_digest)
        return model

    def further(
        self,
        epochs: int,
        prepare: Callable[[keras.Model], None],
        after_epoch: Callable[[training.Progress], None],
    ) -> keras.Model:
        """Trains the model on, from the weights that were exported, and keeps those of the last epoch.

        Args:
            prepare: given the model before the first step.
            after_epoch: told after each.
        """
        update = {"epochs": epochs, "keep_weights": "last", "early_stopping_patience": None}
        config = self.config.model_copy(update=update)
        training.seed(config)
        model, history = training.train(
            self.material, config, training.find_devices(config), prepare=prepare, after_epoch=after_epoch
        )
        self._insist_on_all(history["start"])
        return model

    def export(self, model: keras.Model, folder: pathlib.Path) -> None:
        """Writes a SavedModel like the Trainer's, of a changed model."""
        material = self.material
        _export.export(
            model,
            material.sources.transform,
            material.schema,
            folder,
            self.config.missing,
            self.described.threshold,
            material.late,
        )

    def export_around(self, network: bytes, folder: pathlib.Path) -> None:
        """Writes a network, as LiteRT reads it, and the SavedModel that `answering` runs it in."""
        material = self.material
        around = AroundNetwork(
            material.sources.transform, material.schema, self.described.threshold, material.late, self.names
        )
        around.save(folder)
        dataclasses.replace(self.described, signatures={}, weights=()).write(folder)
        answering.write_network(folder, network)

    @functools.cached_property
    def names(self) -> Mapping[str, str]:
        """What a network calls each feature: a feature's own name need not be an identifier."""
        return {name: f"feature_{place}" for place, name in enumerate(self.schema.features)}

    def network(self, model: keras.Model) -> Any:
        """The concrete function of a model alone: features by `names` -> its output."""
        features, names = self.schema.features, self.names

        def network(**given: tf.Tensor) -> dict[str, Any]:
            output = self.schema.kind.served_output(model, {name: given[names[name]] for name in features})
            return {answering.OUTPUT: tf.cast(output, tf.float32)}

        specs = {
            names[name]: tf.TensorSpec([None, *one.shape], one.dtype, names[name]) for name, one in features.items()
        }
        return _export.graph(network).get_concrete_function(**specs)

    def sample(self, rows: int) -> dict[str, Any]:
        """Features of some rows of train as they are when the model is served, [rows, ...] by `names`; of the first 10,000."""
        split = self.material.train
        looked_at = min(split.rows, _LOOKED_AT)
        chosen = np.random.default_rng(self.config.seed).permutation(looked_at)[:rows]
        parts = []
        for place, batch in enumerate(split.dataset(_BATCH).take(-(-looked_at // _BATCH))):
            here = chosen[chosen // _BATCH == place] % _BATCH
            parts.append({self.names[name]: value.numpy()[here] for name, value in batch[0].items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _insist_on_all(self, start: Mapping[str, Any]) -> None:
        if anew := start.get("anew"):
            name, why = next(iter(anew.items()))
            raise InputError(
                f"{self.material.sources.module_file}: build_model made another model than the one that was trained: layer "
                f"{name} {why}. Let it follow from schema and hyperparameters alone"
            )
