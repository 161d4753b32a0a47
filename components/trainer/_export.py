"""The SavedModel: transform graph and Keras model as one, with the signatures that serving and evaluation use."""

from __future__ import annotations

import dataclasses
import functools
import keyword
import pathlib
import re
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components import served_model
from components.schema import booleans_of, is_personal, is_picture, time_format_of
from components.tasks import ModelSchema, Signature, Task, find
from components.tasks.catalogue import Catalogue
from components.trainer._explain import Explainer, Row, map_shape
from components.trainer._made_of import made_of
from components.trainer.late import Late, as_stored, row_bytes
from spec.errors import InputError
from spec.signatures import EXPLAIN
from spec.words import one_line, some_of

MadeOf = Callable[[Mapping[str, Any]], dict[str, tf.Tensor]]

# Of the model's features; what its layers make of them is often ten times as much.
_BYTES_AT_ONCE = 32 * 2**20
# What stands for "missing" in a dense request, besides NaN; TF Serving's JSON has no null. docs/guides/serving.md tells clients.
_MISSING = {"int64": served_model.MISSING_INT64, "string": served_model.MISSING_STRING}


_ITEMS_AT_ONCE = 256
_POINTS_AT_ONCE = 1024  # of the paths of `explain`


class RawColumns(tf.Module):
    """What a SavedModel does with the raw columns of a request: they become the model's features.

    Attributes:
        columns: those that a request to `serving_default` carries.
        features: raw columns [N, ...] -> features, in the graph.
    """

    def __init__(self, transform: tft.TFTransformOutput, schema: ModelSchema, threshold: float, late: Late) -> None:
        super().__init__()
        self._task = find(schema.task)(schema.classes, threshold, schema.task_options)
        # Read-only views: TensorFlow would track each entry of a dictionary, and look through all of them whenever it saves.
        specs = transform.raw_feature_spec()
        self._raw_specs = types.MappingProxyType({n: s for n, s in specs.items() if n != schema.label})
        # Of all columns: one is called the same in every signature.
        self._input_names = types.MappingProxyType(input_names(self._raw_specs))
        self.columns = _served("served_columns", self._task.served_columns(tuple(self._raw_specs)), self._raw_specs)
        transform_layer = transform.transform_features_layer()
        self.features: MadeOf = functools.partial(_features, transform_layer, late, self._task)
        # What the signatures need hangs here, and not the layer with all that is its own: saving looks through everything that
        # hangs on this module several times, and traces a tf_keras layer once more.
        self._resources = [found for one in (transform_layer, *late.resources) for found in resources(one)]

    def raw_inputs(self, columns: Iterable[str]) -> dict[str, tf.TensorSpec]:
        """The dense tensors of columns by input name: [None] or [None, d]."""
        specs = {self._input_names[name]: self._raw_specs[name] for name in columns}
        return {name: tf.TensorSpec([None, *_shape(spec)], spec.dtype, name) for name, spec in specs.items()}

    def from_dense(self, given: dict[str, tf.Tensor], columns: Iterable[str]) -> dict[str, Any]:
        """The tensors of a request -> raw columns, in the graph."""
        raw = {name: given[self._input_names[name]] for name in columns}
        nullable = {name for name in raw if isinstance(self._raw_specs[name], tf.io.VarLenFeature)}
        return {name: _sparse(value) if name in nullable else value for name, value in raw.items()}


class ServingModule(RawColumns):
    """Raw features in, answers in the task's own terms out.

    Args:
        model: fitted.
        threshold: binary only: above which probability a row is called positive.
        catalogue: of a task that finds items, those that there are.
        ordinary: the row that `explain` compares with, [...] by feature; None: the model has no such signature.

    Raises:
        InputError: the columns that the task serves do not suffice for what it answers.
    """

    def __init__(
        self,
        model: keras.Model,
        transform: tft.TFTransformOutput,
        schema: ModelSchema,
        threshold: float,
        late: Late,
        catalogue: Catalogue | None = None,
        ordinary: Row | None = None,
    ) -> None:
        super().__init__(transform, schema, threshold, late)
        features = self.features
        # Held here for its variables and tables.
        self._stock = None
        if catalogue is not None:
            self._stock = self._task.stock(
                model, schema, catalogue, lambda compute: self._of_items(compute, catalogue, features)
            )
        # Traced once, here: every signature of these columns calls this graph. TensorFlow's runtime inlines it.
        predict = graph(lambda raw: _predict(features(raw), model, self._task))
        try:
            self._predict = predict.get_concrete_function(self._batches(self.columns))
        except Exception as error:
            lacking = _lacking(features, self._raw_specs, self.columns, schema)
            if lacking:
                raise InputError(lacking) from error
            raise
        self._further = types.MappingProxyType(dict(self._task.signatures(model, schema)))
        for name, signature in self._further.items():
            _served(f"signature {name!r}", signature.columns, self._raw_specs)
        signatures = self._traced(features)
        if ordinary is not None:
            pictures = [one.name for one in transform.raw_metadata.schema.feature if is_picture(one)]
            signatures[EXPLAIN] = self._explain_traced(model, late, ordinary, pictures)
        self.signatures = types.MappingProxyType(signatures)
        # Not the model itself, with its optimizer, history and graphs. Augmentation layers hold random state that TensorFlow would
        # not find in the model anyway.
        self._variables = [variable.value for variable in model.variables]  # Origin reads them by their places
        self._resources += resources(model)

    def save(self, folder: pathlib.Path) -> None:
        """Writes the SavedModel, and what the task has beside it."""
        tf.saved_model.save(self, str(folder), signatures=dict(self.signatures))
        if self._stock is not None:
            self._task.write_beside(folder)

    @property
    def further_columns(self) -> dict[str, tuple[str, ...]]:
        """The columns of each further signature that takes nothing else."""
        found = {name: tuple(one.columns) for name, one in self._further.items() if not one.tensors}
        return found | ({EXPLAIN: self.columns} if EXPLAIN in self.signatures else {})

    def described(self, column: str, raw: Any, missing: tuple[str, ...]) -> served_model.RawFeature:
        """What a client needs to know about a column; `raw` is its feature in the schema."""
        plain = self._described(column)
        return dataclasses.replace(
            plain,
            personal=is_personal(raw),
            na_values=missing if plain.dtype == "string" else (),
            time_format=time_format_of(raw),
            booleans=booleans_of(raw),
        )

    def _described(self, column: str) -> served_model.RawFeature:
        spec, name = self._raw_specs[column], self._input_names[column]
        return served_model.RawFeature(
            spec.dtype.name, tuple(_shape(spec)), isinstance(spec, tf.io.VarLenFeature), name
        )

    def _traced(self, features: MadeOf) -> dict[str, Any]:
        """Concrete functions by signature name."""
        examples = tf.TensorSpec([None], tf.string, "examples")
        inputs = tf.TensorSpec([None], tf.string, "inputs")
        by_tensors = graph(lambda **raw: self._predict(self.from_dense(raw, self.columns))[1])
        by_examples = graph(lambda examples: self._predict(self._parse(examples))[1])
        signatures = {
            "serving_default": by_tensors.get_concrete_function(**self.raw_inputs(self.columns)),
            "serving_examples": by_examples.get_concrete_function(examples=examples),
        }
        if own := self._task.tfs_signature:
            by_inputs = graph(lambda inputs: self._task.tfs_answers(self._predict(self._parse(inputs))[0]))
            signatures[own] = by_inputs.get_concrete_function(inputs=inputs)
        for name, signature in self._further.items():
            signatures[name] = self._further_traced(signature, features)
        return signatures

    def _further_traced(self, signature: Signature, features: MadeOf) -> Any:
        def answer(**given: tf.Tensor) -> dict[str, Any]:
            tensors = {name: given[name] for name in signature.tensors}
            if not signature.columns:
                return dict(signature.answer(tensors))
            raw = self.from_dense(given, signature.columns)
            return dict(signature.answer(features(raw) | tensors))

        named = {name: tf.TensorSpec(one.shape, one.dtype, name) for name, one in signature.tensors.items()}
        return graph(answer).get_concrete_function(**self.raw_inputs(signature.columns), **named)

    def _explain_traced(self, model: keras.Model, late: Late, ordinary: Row, pictures: Collection[str]) -> Any:
        def score(given: dict[str, tf.Tensor], answered: tf.Tensor) -> tf.Tensor:
            output = tf.cast(self._task.served_output(model, given), tf.float32)
            return self._task.explained_score(output, answered)

        names = self._input_names
        needed = _needed(self.features, {name: self._raw_specs[name] for name in self.columns})
        needed = {name: columns for name, columns in needed.items() if name in late.features}
        shapes = {
            name: map_shape(late.features[name].shape, _shape(self._raw_specs[columns[0]]))
            for name, columns in needed.items()
            if len(columns) == 1 and columns[0] in pictures and late.features[name].dtype == "float32"
        }
        explainer = Explainer(
            score,
            {name: ordinary[name] for name in needed},
            {name: [names[column] for column in columns] for name, columns in needed.items()},
            {name: shape for name, shape in shapes.items() if shape},
            max(1, min(_POINTS_AT_ONCE, _BYTES_AT_ONCE // (row_bytes(late.features.values()) + 1))),
        )

        def answer(**given: tf.Tensor) -> dict[str, Any]:
            raw = self.from_dense(given, self.columns)
            return explainer.answers(
                self.features(raw), self._predict(raw)[0], [names[column] for column in self.columns]
            )

        try:
            return graph(answer).get_concrete_function(**self.raw_inputs(self.columns))
        except LookupError as error:
            # TensorFlow says the plain one of an operation without a gradient.
            if isinstance(error, KeyError | IndexError):
                raise
            raise InputError(
                f"export.explain: {one_line(error, 200)}. Use an operation that has one, or set export.explain: false."
            ) from error

    def _of_items(
        self, compute: Callable[[Mapping[str, Any]], Any], catalogue: Catalogue, features: MadeOf
    ) -> np.ndarray:
        """Something of every item's features, [M, ...]."""
        columns = [name for name in catalogue.items.column_names if name in self._raw_specs]
        described = {name: self._described(name) for name in columns}
        computed = graph(lambda **given: compute(features(self.from_dense(given, columns))))
        call = computed.get_concrete_function(**self.raw_inputs(columns))
        found = []
        for batch in catalogue.items.select(columns).to_batches(max_chunksize=_ITEMS_AT_ONCE):
            tensors = {name: served_model.dense(name, batch.column(name), one) for name, one in described.items()}
            found.append(call(**{self._input_names[n]: tf.constant(value) for n, value in tensors.items()}).numpy())
        return np.concatenate(found)

    def _batches(self, columns: Iterable[str]) -> dict[str, Any]:
        return {name: _batch_spec(self._raw_specs[name]) for name in columns}

    def _parse(self, serialized: tf.Tensor) -> dict[str, Any]:
        return tf.io.parse_example(serialized, {name: self._raw_specs[name] for name in self.columns})  # type: ignore[no-any-return]


def export(
    model: keras.Model,
    transform: tft.TFTransformOutput,
    schema: ModelSchema,
    folder: pathlib.Path,
    missing: Callable[[str], tuple[str, ...]] = lambda column: (),
    threshold: float = 0.5,
    late: Late | None = None,
    catalogue: Catalogue | None = None,
    names: Sequence[str] = (),
    ordinary: Row | None = None,
) -> None:
    """Writes the SavedModel and, beside it, what a client needs to know about its inputs and answers.

    Args:
        missing: the texts that mean a missing value in a column.
        threshold: binary only: above which probability a row is called positive.
        late: what makes the model's features of those of the transform graph; None: they are the same.
        catalogue: of a task that finds items, those that there are.
        names: of the model's weights, as it was trained; default: as they are.
        ordinary: the row that `explain` compares with, [...] by feature; None: the model has no such signature.
    """
    late = late or Late(schema.features)
    served = ServingModule(model, transform, schema, threshold, late, catalogue, ordinary)
    served.save(folder)
    raw = {one.name: one for one in transform.raw_metadata.schema.feature}
    described = served_model.ServedModel(
        schema.task,
        schema.label,
        tuple(schema.classes),
        {name: served.described(name, raw[name], missing(name)) for name in served.columns},
        threshold,
        schema.task_options,
        {
            signature: {name: served.described(name, raw[name], missing(name)) for name in columns}
            for signature, columns in served.further_columns.items()
        },
        max(1, _BYTES_AT_ONCE // (row_bytes(late.features.values()) + 1)) if late else 0,
        _weight_names(model, names or [one.path for one in model.weights]),
    )
    described.write(folder)


def _weight_names(model: keras.Model, names: Sequence[str]) -> tuple[str, ...]:
    """By the places of the SavedModel's variables, of which some are the state of random layers."""
    known = {id(weight): name for weight, name in zip(model.weights, names, strict=True)}
    return tuple(known.get(id(one), "") for one in model.variables)


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


def _features(transform_layer: Any, late: Late, task: Task, raw: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """The model's features, as far as the raw columns suffice for them, and what the task needs beside them."""
    return late.served(as_stored(transform_layer(raw), late.stored.values())) | task.beside_features(raw)


def _predict(features: dict[str, tf.Tensor], model: keras.Model, task: Task) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The model's output, and the answers that the task makes of it."""
    output = tf.cast(task.served_output(model, features), tf.float32)
    return output, task.answers(output, features, model)


def _served(where: str, columns: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    unknown = [name for name in columns if name not in known]
    if unknown or (not columns and where == "served_columns"):
        received = ", ".join(map(repr, unknown)) or "none"
        raise InputError(
            f"{where}: must be raw columns other than the label: {', '.join(known)}. Received: {received}."
        )
    return tuple(columns)


def _needed(features: MadeOf, specs: Mapping[str, Any]) -> dict[str, list[str]]:
    """The raw columns that each feature is made of."""
    return made_of(graph(features).get_concrete_function({name: _batch_spec(spec) for name, spec in specs.items()}))


def _lacking(features: MadeOf, specs: Mapping[str, Any], columns: Collection[str], schema: ModelSchema) -> str:
    """That the columns do not suffice, and which features would take which others; empty: they suffice for all."""
    needed_for = {
        name: [one for one in needed if one not in columns] for name, needed in _needed(features, specs).items()
    }
    lacking = [
        f"{name!r} needs {' and '.join(map(repr, needed))}"
        for name, needed in sorted(needed_for.items())
        if needed and name in schema.features
    ]
    if not lacking:
        return ""
    return (
        f"task {schema.task}: a request to serving_default carries {some_of([*map(repr, columns)])} alone, which is too little for "
        f"its answers. Of the features that are lacking {some_of(lacking)}. Let requests carry more, or build the model so "
        "that the answers need less."
    )


def graph(function: Callable[..., Any]) -> Any:
    """A function of TensorFlow, traced when it is asked for a concrete one."""
    # Without AutoGraph, as Keras trains: rewriting the source of every function on the way took longer than tracing it.
    return tf.function(function, autograph=False)


def resources(root: Any) -> list[Any]:
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
