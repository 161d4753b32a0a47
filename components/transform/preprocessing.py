"""`preprocessing_fn` as TFT is given it: the label beside its features, its mistakes in one line, ids that stay ids."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import tensorflow as tf
from tensorflow_transform import schema_inference, tf_utils

from components.id_domains import ids_of
from components.tasks import Task
from spec.errors import InputError


def with_label(
    preprocessing_fn: Callable[..., Any],
    calling: Callable[[], contextlib.AbstractContextManager[None]],
    module_file: str,
    label: str | None,
    task: Task | None,
    lists: set[str] | None = None,
    withheld: Collection[str] = (),
) -> Callable[..., Any]:
    """`preprocessing_fn` with the label beside its features.

    Args:
        task: that maps the label; None without one.
        lists: takes the names of the features that have a list of any length in each row, as they are traced; None: there may be
            none, for no `late_fn` makes them dense.
        withheld: personal columns, which `preprocessing_fn` is not given.
    """

    def transform(inputs: dict[str, Any]) -> dict[str, Any]:
        features = {name: tensor for name, tensor in inputs.items() if name != label and name not in withheld}
        with calling():
            outputs = preprocessing_fn(_Inputs(features, withheld))
        _check_outputs(outputs, label, module_file)
        outputs = {name: _with_list(name, tensor, module_file, lists) for name, tensor in outputs.items()}
        _keep_domains(outputs, module_file)
        if label is None or task is None or not task.learns_label:
            return outputs
        return {**outputs, label: task.targets(inputs[label])}

    return transform


class ColumnNotRead(KeyError):
    """features.py asks for a column that is not there."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Inputs(dict[str, Any]):
    """The columns that are read; one that is not says so."""

    def __init__(self, columns: Mapping[str, Any], withheld: Collection[str]) -> None:
        super().__init__(columns)
        self._withheld = withheld

    def __missing__(self, name: object) -> Any:
        if name in self._withheld:
            raise ColumnNotRead(
                f"column {name!r} is personal (schema.pbtxt), and no feature is made of it unless workload.yaml says so: leave it "
                f"out, or write data.personal_features: [{name}]"
            )
        raise ColumnNotRead(
            f"column {name!r} is not read: schema.pbtxt has none of that name, or data.ignore leaves it out. "
            f"Read: {', '.join(self)}"
        )


def _check_outputs(outputs: Any, label: str | None, module_file: str) -> None:
    if not isinstance(outputs, dict) or not outputs:
        raise InputError(
            f"{module_file}: preprocessing_fn must return a dictionary of features. Received: {type(outputs).__name__}."
        )
    if label in outputs:
        raise InputError(
            f"{module_file}: preprocessing_fn returns {label!r}, the label, which is mapped for it. Leave it out."
        )


def _with_list(name: str, tensor: Any, module_file: str, lists: set[str] | None) -> Any:
    """A feature as it is stored: a ragged one as a sparse one of lists."""
    if not isinstance(tensor, (tf.SparseTensor, tf.RaggedTensor)):
        return tensor
    if lists is None:
        raise InputError(
            f"{module_file}: feature {name!r} is {type(tensor).__name__}; a model takes dense features. "
            "Fill missing values first, e.g. tf.sparse.to_dense(x, default_value=0), or let a late_fn make it dense."
        )
    if tensor.shape.rank != 2 or tensor.dtype not in (tf.int64, tf.float32):
        raise InputError(
            f"{module_file}: feature {name!r} must be int64 or float32 of shape [N, any] to be stored with lists of different "
            f"lengths. Received: {tensor.dtype.name} {tensor.shape}. Make it dense, or map its texts to ids, e.g. by "
            "tft.compute_and_apply_vocabulary."
        )
    lists.add(name)
    if isinstance(tensor, tf.SparseTensor):
        return tensor
    rows = tensor.value_rowids()
    places = tf.range(tf.size(rows, tf.int64)) - tf.gather(tensor.row_starts(), rows)
    shape = tf.stack([tensor.nrows(), tensor.bounding_shape(axis=1, out_type=tf.int64)])
    # Not `to_sparse`, whose values are others to TFT: it would forget that they are ids, and of how many.
    return tf.SparseTensor(tf.stack([rows, places], axis=1), tensor.values, shape)


def _keep_domains(outputs: Mapping[str, Any], module_file: str) -> None:
    """TFT knows how many ids there are of those that it made itself; what holds the same ids, cut or padded, is told here."""
    for name, output in outputs.items():
        tensor = output.values if isinstance(output, tf.SparseTensor) else output
        if tensor.dtype != tf.int64:
            continue
        ranges = schema_inference._get_tensor_ranges(tensor.graph)
        bounds_of = functools.partial(_bounds, ranges)
        if bounds_of(tensor) is not None or (found := ids_of(tensor, bounds_of)) is None:
            continue
        least = [bounds[0] + shift for bounds, shift in found.domains]
        greatest = [bounds[1] + shift for bounds, shift in found.domains]
        known = [tf.get_static_value(one) for one in least]
        if None not in known and (wrong := [value for value in found.constants if value < min(known)]):
            raise InputError(
                f"{module_file}: feature {name!r} holds ids, and is filled with {wrong[0]}, which is none. Fill with an id, or move "
                "them up by one to fill with 0: tft.compute_and_apply_vocabulary(...) + 1."
            )
        fillings = [tf.constant(value, tf.int64) for value in found.constants]
        bounds = [
            reduce(tf.stack([tf.cast(one, tf.int64) for one in (*ends, *fillings)]))
            for reduce, ends in ((tf.reduce_min, least), (tf.reduce_max, greatest))
        ]
        schema_inference.set_tensor_schema_override(tensor, *bounds)


def _bounds(ranges: Mapping[Any, Any], tensor: tf.Tensor) -> Any:
    """The least and the greatest id, as tensors, where TFT knows them."""
    return ranges.get(tf_utils.hashable_tensor_or_op(tensor))
