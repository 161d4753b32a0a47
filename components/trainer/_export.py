"""The SavedModel: transform graph and Keras model as one, with the signatures that serving and evaluation use."""

from __future__ import annotations

import keyword
import pathlib
import re
import types
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from components import served_model
from components.schema import booleans_of, is_personal, time_format_of
from components.tasks import ModelSchema, Task, find

# What stands for "missing" in a dense request, besides NaN; TF Serving's JSON has no null. docs/guides/serving.md tells clients.
_MISSING = {"int64": served_model.MISSING_INT64, "string": served_model.MISSING_STRING}


class ServingModule(tf.Module):
    """Raw features in, answers in the task's own terms out."""

    def __init__(
        self, model: keras.Model, transform: tft.TFTransformOutput, schema: ModelSchema, threshold: float
    ) -> None:
        super().__init__()
        self._task = find(schema.task)(schema.classes, threshold, schema.task_options)
        # Read-only views: TensorFlow would track each entry of a dictionary, and look through all of them whenever it saves.
        specs = transform.raw_feature_spec()
        self._raw_specs = types.MappingProxyType({n: s for n, s in specs.items() if n != schema.label})
        self.input_names = types.MappingProxyType(input_names(self._raw_specs))
        transform_layer = transform.transform_features_layer()
        # Saving looks through everything that hangs on this module several times, and traces a tf_keras layer once more: what
        # the signatures need hangs here, not the model and the layer with all that is theirs (optimizer, history, graphs).
        # Augmentation layers hold random state that TensorFlow would not find in the model anyway.
        self._variables = [variable.value for variable in model.variables]
        self._resources = [*_resources(transform_layer), *_resources(model)]
        # Traced once, here: every signature calls this graph. TensorFlow's runtime inlines it.
        batches = {name: _batch_spec(spec) for name, spec in self._raw_specs.items()}
        predict = _graph(lambda raw: _predict(raw, transform_layer, model, schema, self._task))
        self._predict = predict.get_concrete_function(batches)

    def raw_inputs(self) -> dict[str, tf.TensorSpec]:
        """The dense tensors of `serving_default` by input name: [None] or [None, d]."""
        names = self.input_names
        return {names[n]: tf.TensorSpec([None, *_shape(s)], s.dtype, names[n]) for n, s in self._raw_specs.items()}

    def signatures(self) -> dict[str, Any]:
        """Concrete functions by signature name."""
        examples = tf.TensorSpec([None], tf.string, "examples")
        inputs = tf.TensorSpec([None], tf.string, "inputs")
        by_tensors = _graph(lambda **raw: self._predict(self._from_dense(raw))[1])
        by_examples = _graph(lambda examples: self._predict(self._parse(examples))[1])
        signatures = {
            "serving_default": by_tensors.get_concrete_function(**self.raw_inputs()),
            "serving_examples": by_examples.get_concrete_function(examples=examples),
        }
        if own := self._task.tfs_signature:
            by_inputs = _graph(lambda inputs: self._task.tfs_answers(self._predict(self._parse(inputs))[0]))
            signatures[own] = by_inputs.get_concrete_function(inputs=inputs)
        return signatures

    def _parse(self, serialized: tf.Tensor) -> dict[str, Any]:
        return tf.io.parse_example(serialized, dict(self._raw_specs))  # type: ignore[no-any-return]

    def _from_dense(self, raw: dict[str, tf.Tensor]) -> dict[str, Any]:
        return {
            name: _sparse(raw[given]) if isinstance(spec, tf.io.VarLenFeature) else raw[given]
            for name, spec in self._raw_specs.items()
            for given in (self.input_names[name],)
        }


def export(
    model: keras.Model,
    transform: tft.TFTransformOutput,
    schema: ModelSchema,
    folder: pathlib.Path,
    missing: Callable[[str], tuple[str, ...]] = lambda column: (),
    threshold: float = 0.5,
) -> None:
    """Writes the SavedModel and, beside it, what a client needs to know about its inputs and answers.

    Args:
        missing: the texts that mean a missing value in a column.
        threshold: binary only: above which probability a row is called positive.
    """
    served = ServingModule(model, transform, schema, threshold)
    tf.saved_model.save(served, str(folder), signatures=served.signatures())
    inputs = served.raw_inputs()
    nullable = {name for name, spec in transform.raw_feature_spec().items() if isinstance(spec, tf.io.VarLenFeature)}
    raw = {one.name: one for one in transform.raw_metadata.schema.feature}
    features = {
        name: served_model.RawFeature(
            inputs[given].dtype.name,
            tuple(inputs[given].shape[1:]),
            name in nullable,
            given,
            is_personal(raw[name]),
            missing(name) if inputs[given].dtype == tf.string else (),
            time_format_of(raw[name]),
            booleans_of(raw[name]),
        )
        for name, given in served.input_names.items()
    }
    described = served_model.ServedModel(
        schema.task, schema.label, tuple(schema.classes), features, threshold, schema.task_options
    )
    described.write(folder)


def input_names(features: Iterable[str]) -> dict[str, str]:
    """What the served model calls each raw feature.

    TensorFlow takes only Python identifiers as arguments of a signature, and does not tell `Amount` from `amount`:
    `trip miles` becomes `trip_miles`, and what would clash gets a number. Columns that can keep their name do.

    Example:
        >>> input_names(["amount", "Amount", "class"])
        {'Amount': 'Amount', 'amount': 'amount_2', 'class': 'column_class'}
    """
    plain = {feature: _identifier(feature) for feature in features}
    names: dict[str, str] = {}
    taken: set[str] = set()
    for feature in sorted(plain, key=lambda one: (plain[one] != one, one)):
        name, number = plain[feature], 2
        while name.lower() in taken:
            name, number = f"{plain[feature]}_{number}", number + 1
        taken.add(name.lower())
        names[feature] = name
    return names


def _identifier(feature: str) -> str:
    name = re.sub(r"\W", "_", feature, flags=re.ASCII)
    # TensorFlow drops leading underscores, and Python has words of its own.
    if not name[:1].isalpha() or keyword.iskeyword(name) or name == "self":
        return f"column_{name.lstrip('_')}"
    return name


def _predict(
    raw: dict[str, Any], transform_layer: Any, model: keras.Model, schema: ModelSchema, task: Task
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The model's output, and the answers that the task makes of it."""
    transformed = transform_layer(raw)
    inputs = {name: tf.reshape(transformed[name], [-1, *feature.shape]) for name, feature in schema.features.items()}
    output = tf.cast(model(inputs, training=False), tf.float32)
    return output, task.answers(output, inputs, model)


def _graph(function: Callable[..., Any]) -> Any:
    # Without AutoGraph, as Keras trains: rewriting the source of every function on the way took longer than tracing it.
    return tf.function(function, autograph=False)


def _resources(root: Any) -> list[Any]:
    """Lookup tables and the files that fill them, wherever they hang."""
    kinds = (tf.saved_model.experimental.TrackableResource, tf.saved_model.Asset)
    return [one for one in tf.train.TrackableView(root).descendants() if isinstance(one, kinds)]


def _batch_spec(spec: Any) -> Any:
    """A batch of a parsed feature: what `tf.io.parse_example` makes of it."""
    if isinstance(spec, tf.io.VarLenFeature):
        return tf.SparseTensorSpec([None, None], spec.dtype)
    return tf.TensorSpec([None, *spec.shape], spec.dtype)


def _shape(spec: Any) -> list[int]:
    return [] if isinstance(spec, tf.io.VarLenFeature) else list(spec.shape)


def _sparse(values: tf.Tensor) -> tf.SparseTensor:
    """Dense [N] with sentinels -> SparseTensor [N, 1] without the missing ones, as TFT traced the feature."""
    if values.dtype.is_floating:
        present = tf.logical_not(tf.math.is_nan(values))
    else:
        present = tf.not_equal(values, tf.constant(_MISSING[values.dtype.name], values.dtype))
    rows = tf.where(present)
    indices = tf.concat([rows, tf.zeros_like(rows)], axis=1)
    shape = tf.stack([tf.shape(values, tf.int64)[0], tf.constant(1, tf.int64)])
    return tf.SparseTensor(indices, tf.boolean_mask(values, present), shape)
