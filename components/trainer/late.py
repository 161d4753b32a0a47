"""`late_fn` of a workload's features.py: what is made of the stored features batch by batch, in training and in the served model.

`late_label_fn` follows it in training alone: it does to a label that is a picture what was drawn for the features, a crop for
instance. Neither function is given what the other one gets, so nothing of a label can reach the features.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.python.trackable import resource

from components import user_code
from components.id_domains import ids_of
from components.tasks import Feature
from spec.errors import InputError
from spec.words import one_line

NAME, LABEL_NAME = "late_fn", "late_label_fn"
_DTYPES = ("float32", "int64", "string")
_SEED = tf.TensorSpec([2], tf.int32)
# What draws otherwise on each call, or cannot be a part of the served model.
_UNSEEDED = ("Random", "Multinomial", "TruncatedNormal", "ParameterizedTruncatedNormal", "Stateful", "Assign")
_PYTHON = ("PyFunc", "EagerPyFunc", "PyFuncStateless")


class Late:
    """Stored features [N, ...] -> what the model takes. Without a `late_fn` they are the same.

    The function is traced here, once for training and once for all else; its Python is not run again.

    Args:
        stored: what Transform wrote; the shape of one that has a list of any length in each row is (None,).
        function: `late_fn(features, training)`, or with a third argument `seed`, int32 [2].
        module_file: where it stands.
        digest: of that file's folder, in the cache's key; empty: whatever it is.
        label_function: `late_label_fn(label, seed)`, for a `function` that takes the seed.

    Attributes:
        stored: by name.
        features: what the model takes, by name.
        takes_seed: whether the function draws.
        changes_labels: whether there is a `late_label_fn`.
        resources: lookup tables that it made.

    Raises:
        InputError: one of them raises, returns what it may not, or draws in a way that no seed decides.
    """

    def __init__(
        self,
        stored: Mapping[str, Feature],
        function: Callable[..., Any] | None = None,
        module_file: str = "",
        digest: str = "",
        label_function: Callable[..., Any] | None = None,
    ) -> None:
        self.stored, self.module_file = dict(stored), module_file
        self._digest, self._label_function = digest, label_function
        self.resources: list[Any] = []
        self._graphs: dict[bool, Any] = {}
        self._needs: dict[str, set[str]] = {}
        self._sizes: dict[str, int | None] = {}
        self.features = self.stored
        self.takes_seed = function is not None and _takes_seed(function, module_file)
        self.changes_labels = label_function is not None
        if self.changes_labels and not self.takes_seed:
            raise InputError(
                f"{module_file}: {LABEL_NAME} does to the label what {NAME} draws for the features. Define "
                f"`def {NAME}(features, training, seed)` beside it, and draw by that seed in both."
            )
        if function is None:
            if lists := [name for name, feature in stored.items() if is_list(feature)]:
                raise InputError(
                    f"features.py: feature {lists[0]!r} is not dense; fill missing values before returning it."
                )
            return
        tracker = resource.ResourceTracker()
        with user_code.calling(module_file, digest), resource.resource_tracker_scope(tracker):
            self._graphs = {training: self._traced(function, training) for training in (True, False)}
        # Kept here: TensorFlow drops a table that nothing in Python holds.
        self.resources = list(tracker.resources)
        made = self._graphs[False].structured_outputs
        self.features = {name: self._described(name, made[name]) for name in sorted(made)}

    def __bool__(self) -> bool:
        return bool(self._graphs)

    def in_training(self, features: Mapping[str, Any], training: bool, seed: Any = None) -> dict[str, Any]:
        """In tf.data. An operation that fails, or a value that is no finite number, names `late_fn` in its error."""
        if not self:
            return dict(features)
        made = self._graphs[training](dict(features), tf.zeros([2], tf.int32) if seed is None else seed)
        return {
            name: tf.debugging.check_numerics(made[name], f"{NAME}: feature {name!r}")
            if one.dtype == "float32"
            else made[name]
            for name, one in self.features.items()
        }

    def of_labels(self, label: tf.TensorSpec) -> Callable[[Any, Any], Any]:
        """`late_label_fn`: what training does to labels [N, ...], given the seed of their batch.

        Args:
            label: what the loss takes.

        Raises:
            InputError: as the class does.
        """
        function = self._label_function
        assert function

        def traced(label: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            with tf.name_scope(LABEL_NAME):
                made = function(label, seed)
                if not isinstance(made, tf.Tensor) or made.dtype != label.dtype:
                    received = made.dtype.name if isinstance(made, tf.Tensor) else type(made).__name__
                    raise InputError(
                        f"{self.module_file}: {LABEL_NAME} must return the label as {label.dtype.name}, which the loss takes. "
                        f"Received: {received}."
                    )
                if not made.shape.is_compatible_with(label.shape):
                    raise InputError(
                        f"{self.module_file}: {LABEL_NAME} must return labels of shape {label.shape}, which the loss takes. "
                        f"Received: {made.shape}."
                    )
                return tf.ensure_shape(made, label.shape)

        with user_code.calling(self.module_file, self._digest):
            graph = tf.function(traced, autograph=False).get_concrete_function(label, _SEED)
        self._check_operations(graph.graph, f"{LABEL_NAME}(label, seed)")
        return graph  # type: ignore[no-any-return]

    def served(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """In the served model: those features for which the stored ones that are given suffice."""
        if not self:
            return dict(features)
        # No rows: an operation that a graph runs although nothing needs it, an assertion for instance, has nothing to fail for.
        lacking = {name: _no_rows(one) for name, one in self.stored.items() if name not in features}
        made = self._graphs[False]({**features, **lacking}, tf.zeros([2], tf.int32))
        return {name: made[name] for name in self.features if self._needs[name] <= features.keys()}

    def blame(self, error: Exception) -> InputError | None:
        """The line for an error of TensorFlow that arose in `late_fn`; None for any other."""
        text = one_line(error)
        name = next((one for one in (LABEL_NAME, NAME) if one in text), None)
        if not self or name is None:
            return None
        # TensorFlow says where in the pipeline before it says what, and which nodes after.
        said = re.sub(r".*Iterator::Root\S*: ", "", text).partition(" [[")[0].removeprefix(f"{name}: ")
        return InputError(f"{self.module_file}: {name}: {said[:300]}. Mend the row, or let {name} bear it.")

    def _traced(self, function: Callable[..., Any], training: bool) -> Any:
        def traced(features: dict[str, Any], seed: tf.Tensor) -> dict[str, tf.Tensor]:
            with tf.name_scope(NAME):
                made = function(dict(features), training, *([seed] if self.takes_seed else []))
                made = self._checked(made)
            self._needs = {name: _sources(tensor, features) for name, tensor in made.items()}
            self._sizes = {name: self._vocabulary_size(name, tensor, features) for name, tensor in made.items()}
            return made

        specs = {name: _spec(feature) for name, feature in self.stored.items()}
        graph = tf.function(traced, autograph=False).get_concrete_function(specs, _SEED)
        self._check_operations(graph.graph, f"{NAME}(features, training, seed)")
        return graph

    def _checked(self, made: Any) -> dict[str, tf.Tensor]:
        where = f"{self.module_file}: {NAME}"
        if not isinstance(made, dict) or not made:
            raise InputError(f"{where} must return a dictionary of features. Received: {type(made).__name__}.")
        for name, tensor in made.items():
            if not isinstance(tensor, tf.Tensor):
                raise InputError(
                    f"{where}: feature {name!r} is {type(tensor).__name__}; a model takes dense tensors. "
                    "Make it one, e.g. by x.to_tensor(shape=[None, 64])."
                )
            if tensor.dtype.name not in _DTYPES:
                raise InputError(
                    f"{where}: feature {name!r} must be {', '.join(_DTYPES)}. Received: {tensor.dtype.name}. Cast it: "
                    "tf.cast(x, tf.float32)."
                )
            if tensor.shape.rank in (None, 0) or None in tensor.shape[1:]:
                raise InputError(
                    f"{where}: feature {name!r} has shape {tensor.shape}; all but the first number must be known. "
                    "Say them, e.g. by tf.ensure_shape(x, [None, 224, 224, 3])."
                )
        return made

    def _check_operations(self, graph: Any, signature: str) -> None:
        name = signature.partition("(")[0]
        definition = graph.as_graph_def()
        nodes = [*definition.node, *(node for one in definition.library.function for node in one.node_def)]
        if drawn := [node.op for node in nodes if node.op.startswith(_UNSEEDED)]:
            raise InputError(
                f"{self.module_file}: {name} draws by {drawn[0]}, which training.seed does not decide. Take the seed, "
                f"`def {signature}`, and draw by what takes it, e.g. tf.image.stateless_random_crop(x, size, seed)."
            )
        if python := [node.op for node in nodes if node.op in _PYTHON]:
            raise InputError(
                f"{self.module_file}: {name} calls Python ({python[0]}), which a served model has not. Use TensorFlow's operations."
            )

    def _vocabulary_size(self, name: str, tensor: tf.Tensor, features: Mapping[str, Any]) -> int | None:
        """Of ids that are a stored feature's, or that are called as it was."""
        if tensor.dtype != tf.int64:
            return None
        sizes = {
            part.op.name: self.stored[one].vocabulary_size
            for one, given in features.items()
            if given.dtype == tf.int64
            for part in (given.flat_values if isinstance(given, tf.RaggedTensor) else given,)
        }
        if (found := ids_of(tensor, lambda one: sizes.get(one.op.name))) is None:
            return self.stored[name].vocabulary_size if name in self.stored else None
        if min(found.constants, default=0) < 0:
            raise InputError(
                f"{self.module_file}: {NAME}: feature {name!r} holds ids, and is filled with {min(found.constants)}, which is none. "
                "Fill with an id, or move them up by one to fill with 0."
            )
        return 1 + max(*[size - 1 + shift for size, shift in found.domains], *found.constants, -1)

    def _described(self, name: str, tensor: Any) -> Feature:
        return Feature(name, tensor.dtype.name, tuple(tensor.shape[1:]), self._sizes[name])


def _takes_seed(function: Callable[..., Any], module_file: str) -> bool:
    given = list(inspect.signature(function).parameters)
    if len(given) not in (2, 3):
        raise InputError(
            f"{module_file}: {NAME} takes features, training and, if it draws, seed. Received: {', '.join(given)}. A label is never "
            f"given to it: what is drawn for the features, {LABEL_NAME}(label, seed) does to the label."
        )
    return len(given) == 3


def load(module_file: str, stored: Mapping[str, Feature], digest: str = "") -> Late:
    """The `late_fn` of a features.py, if it has one.

    Raises:
        InputError: as `Late`.
    """
    late, label = (user_code.find_function(module_file, name, digest) for name in (NAME, LABEL_NAME))
    return Late(stored, late, module_file, digest, label)


def is_list(feature: Feature) -> bool:
    """Whether each row of a stored feature has a list of its own length."""
    return None in feature.shape


def as_stored(transformed: Mapping[str, Any], stored: Iterable[Feature]) -> dict[str, Any]:
    """What a transform graph gives, as `Late` takes it: dense [N, *shape], or ragged; what it does not give is left out."""
    return {
        one.name: tf.RaggedTensor.from_sparse(transformed[one.name])
        if is_list(one)
        else tf.reshape(transformed[one.name], [-1, *one.shape])
        for one in stored
        if one.name in transformed
    }


def row_bytes(features: Iterable[Feature]) -> int:
    """What a row of dense features takes in memory, without the bytes of texts."""
    return sum(math.prod(one.shape) * (4 if one.dtype == "float32" else 8) for one in features)


def _spec(feature: Feature) -> Any:
    if is_list(feature):
        return tf.RaggedTensorSpec([None, None], feature.dtype, ragged_rank=1, row_splits_dtype=tf.int64)
    return tf.TensorSpec([None, *feature.shape], feature.dtype)


def _no_rows(feature: Feature) -> Any:
    if is_list(feature):
        return tf.RaggedTensor.from_row_splits(tf.zeros([0], feature.dtype), tf.zeros([1], tf.int64))
    return tf.zeros([0, *feature.shape], feature.dtype)


def _sources(tensor: tf.Tensor, features: Mapping[str, Any]) -> set[str]:
    """The features that a tensor of the graph is made of."""
    seen, waiting = set(), [tensor.op]
    while waiting:
        if (operation := waiting.pop()).name not in seen:
            seen.add(operation.name)
            waiting += [one.op for one in operation.inputs]
    parts = {name: tf.nest.flatten(one, expand_composites=True) for name, one in features.items()}
    return {name for name, tensors in parts.items() if any(one.op.name in seen for one in tensors)}
