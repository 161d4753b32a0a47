"""The label: its classes in the order of the model's output, and the mapping inside the transform graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

from components.errors import InputError
from components.schema import classes_of
from components.served_model import NUMERIC


def output_classes(schema: schema_pb2.Schema, label: str, task: str, positive_class: str = "") -> list[str]:
    """The classes in the order of the output: [negative, positive] for binary, none for regression and ranking.

    Raises:
        InputError: the label's domain does not fit the task.
    """
    if task in NUMERIC:
        return []
    classes = classes_of(schema, label)
    if task == "multiclass":
        if len(classes) < 2:
            raise InputError(f"label {label!r}: multiclass needs two classes or more. Received: {classes}.")
        return classes
    if len(classes) != 2:
        raise InputError(
            f"label {label!r}: task binary needs a domain of two classes. Received {len(classes)}: {classes[:5]}. "
            "Mend the domain in schema.pbtxt, or set task: multiclass."
        )
    positive = positive_class or classes[1]
    if positive not in classes:
        raise InputError(f"data.label.positive_class: must be one of {classes}. Received: {positive!r}.")
    return [c for c in classes if c != positive] + [positive]


def map_label(values: Any, classes: Sequence[str], task: str) -> Any:
    """Raw label tensor [N] -> class index int64 [N] (-1: unknown class) or float32 [N]."""
    import tensorflow as tf

    if isinstance(values, tf.SparseTensor):
        values = tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, [values.dense_shape[0], 1]))[:, 0]
    if task in NUMERIC:
        return tf.cast(values, tf.float32)
    text = values if values.dtype == tf.string else tf.strings.as_string(values)
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(list(classes), list(range(len(classes))), tf.string, tf.int64), -1
    )
    return table.lookup(text)
