"""What a training begins with: the weights of a release, which layers stay as they are, and how fast the others learn."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import keras
import numpy.typing as npt

from components.served_model import SERVING_FOLDER, ServedModel
from components.trainer._config import TrainingConfig
from model_store import RELEASE_FILE
from spec.errors import InputError
from spec.words import some_of

_Weight = TypeVar("_Weight")
Layers = dict[str, list[tuple[str, _Weight]]]
"""By layer: the name and the value of each of its weights."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """The weights of a release.

    Attributes:
        release: `model`, `version` and `digest`.
    """

    release: Mapping[str, Any]
    layers: Layers[npt.NDArray[Any]]

    @classmethod
    def read(cls, folder: str) -> Origin | None:
        """Of an artifact that holds a release; None where it is empty, as a champion's is before the first.

        Raises:
            InputError: the release does not say which layers its weights are of.
        """
        if (release := named_release(folder)) is None:
            return None
        found = cls.of(pathlib.Path(folder) / SERVING_FOLDER, release)
        if not found.layers:
            raise InputError(
                f"training.start_from: {release_name(release)} was made by an earlier Trainyard, which did not note the names of its "
                "weights. Release it again without start_from, or name another."
            )
        return found

    @classmethod
    def of(cls, saved_model: pathlib.Path, release: Mapping[str, Any]) -> Origin:
        """Of a SavedModel; without layers where it does not say which its weights are of."""
        import tensorflow as tf

        names = ServedModel.read(saved_model).weights
        reader = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
        kept = [
            (name, reader.get_tensor(f"_variables/{place}/.ATTRIBUTES/VARIABLE_VALUE"))
            for place, name in enumerate(names)
            if name
        ]
        return cls(release, _by_layer(kept))


def named_release(folder: str) -> dict[str, Any] | None:
    """Model, version and digest of the release that an artifact holds; None where it holds none."""
    path = pathlib.Path(folder) / RELEASE_FILE
    if not folder or not path.is_file():
        return None
    said = json.loads(path.read_text(encoding="utf-8"))
    return {name: said[name] for name in ("model", "version", "digest")}


def begin(model: keras.Model, config: TrainingConfig, origin: Origin | None) -> tuple[dict[str, float], dict[str, Any]]:
    """Gives a new model the weights of a release, and stops the layers that are not to learn.

    A layer is taken as a whole: where its weights have other names or shapes, as those of an embedding whose vocabulary grew, all of
    them stay as build_model made them.

    Returns:
        The part of the learning rate by a weight's path, where it is not the whole; and what goes into history.json.

    Raises:
        InputError: release and model have no layer in common, no layer has such a name, or none is left to learn.
    """
    layers = _by_layer((one.path, one) for one in model.weights)
    record: dict[str, Any] = {"asked": config.start_from, "release": origin and dict(origin.release)}
    record |= {"taken": [], "anew": {}, "unused": []}
    if origin is not None:
        record |= _take(layers, origin)
    frozen = _named("freeze", config.freeze, layers)
    rates = _named("learning_rates", config.learning_rates, layers)
    if config.start_from is not None:  # what begins anew has all to learn
        frozen, rates = ({n: p for n, p in one.items() if n in record["taken"]} for one in (frozen, rates))
    _freeze(model, [weight for name in frozen for _, weight in layers[name]])
    if frozen and not model.trainable_variables:
        raise InputError(f"training.freeze: no layer is left to learn. Received: {', '.join(config.freeze)}.")
    factors = {name: config.learning_rates[prefix] for name, prefix in rates.items() if name not in frozen}
    record |= {"frozen": list(frozen), "learning_rates": factors}
    record["words"] = _in_words(record)
    return {weight.path: factor for name, factor in factors.items() for _, weight in layers[name]}, record


def _take(layers: Layers[Any], origin: Origin) -> dict[str, Any]:
    anew = {name: _difference(weights, origin.layers.get(name)) for name, weights in layers.items()}
    taken = [name for name, why in anew.items() if not why]
    if not taken:
        has = some_of([f"{name} ({why})" for name, why in anew.items()])
        raise InputError(
            f"training.start_from: {release_name(origin.release)} has no layer in common with the model of build_model, by name and "
            f"shapes. It has {some_of(list(origin.layers))}; the model {has}. Name "
            "another release, or give layers the names that they have there."
        )
    for name in taken:
        for (_, weight), (_, value) in zip(layers[name], origin.layers[name], strict=True):
            weight.assign(value)
    unused = [name for name in origin.layers if name not in layers]
    return {"taken": taken, "anew": {name: why for name, why in anew.items() if why}, "unused": unused}


def _difference(weights: list[tuple[str, Any]], kept: list[tuple[str, npt.NDArray[Any]]] | None) -> str:
    """Why a layer cannot be taken; empty: it can."""
    if kept is None:
        return "the release has no such layer"
    if [name for name, _ in weights] != [name for name, _ in kept]:
        return f"has {_names(weights)}, in the release {_names(kept)}"
    for (name, weight), (_, value) in zip(weights, kept, strict=True):
        if tuple(weight.shape) != value.shape:
            return f"{name} is {list(weight.shape)}, in the release {list(value.shape)}"
    return ""


def _freeze(model: keras.Model, weights: list[Any]) -> None:
    frozen = set(map(id, weights))
    for weight in weights:
        weight.trainable = False
    # A layer all of whose weights stay is not trained at all: the running means of a BatchNormalization stay, too.
    for layer in model._flatten_layers(include_self=False):
        if layer.weights and frozen.issuperset(map(id, layer.weights)):
            layer.trainable = False


def _named(field: str, prefixes: Iterable[str], layers: Mapping[str, Any]) -> dict[str, str]:
    """The layers whose names begin so, each with the longest prefix that fits."""
    found: dict[str, str] = {}
    for prefix in sorted(prefixes, key=len):
        fitting = [name for name in layers if name.startswith(prefix)]
        if not fitting:
            raise InputError(
                f"training.{field}: no layer of the model has a name that begins with {prefix!r}. Layers with weights: "
                f"{some_of(list(layers))}."
            )
        found |= dict.fromkeys(fitting, prefix)
    return {name: found[name] for name in layers if name in found}


def _by_layer(weights: Iterable[tuple[str, _Weight]]) -> Layers[_Weight]:
    layers: Layers[_Weight] = {}
    for path, weight in weights:
        layer, _, name = path.rpartition("/")
        layers.setdefault(layer, []).append((name, weight))
    return layers


def _in_words(start: Mapping[str, Any]) -> str:
    if start["release"] is None:
        words = "There was no champion to start from, so training began anew." if start["asked"] else ""
    else:
        words = f"Started from {release_name(start['release'])}: taken {some_of(start['taken'])}."
        if anew := [f"{name} ({why})" for name, why in start["anew"].items()]:
            words += f" Begun anew: {some_of(anew)}."
        if start["unused"]:
            words += f" Not used: {some_of(start['unused'])}."
    if start["frozen"]:
        words += f" Frozen: {some_of(start['frozen'])}."
    if rates := [f"{name} {factor:g}" for name, factor in start["learning_rates"].items()]:
        words += f" Parts of the learning rate: {some_of(rates)}."
    return words.strip()


def _names(weights: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(name for name, _ in weights)


def release_name(release: Mapping[str, Any]) -> str:
    """`mnist@3`."""
    return f"{release['model']}@{release['version']}"
