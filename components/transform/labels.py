"""The label: its classes in the order of the model's output, and the mapping inside the transform graph."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2

from components.columnar import read_split
from components.positive import Positive, by_name, by_share
from components.schema import classes_of
from components.served_model import NUMERIC, class_indices
from spec.errors import InputError
from spec.splits import TRAIN

_FILE = "positive_class.json"


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


def positive_class(examples: str, schema: schema_pb2.Schema, label: str, task: str) -> Positive | None:
    """Which class is positive where workload.yaml does not say; None for tasks other than binary.

    Args:
        examples: URI of the raw Examples; train's rows tell which class is rare.
        schema: of the raw data.
        label: the label's column.
        task: of the workload.

    Raises:
        InputError: the label's domain does not fit the task, or a label is none of its classes.
    """
    if task != "binary":
        return None
    classes = output_classes(schema, label, task)
    if (named := by_name(classes)) is not None:
        return named
    values = read_split(examples, TRAIN, [label]).column(0).combine_chunks()
    return by_share(classes, np.bincount(class_indices(values, classes), minlength=2).tolist())


def write_positive(graph: str, positive: Positive) -> None:
    """Keeps the choice beside the transform graph that maps the label by it."""
    (pathlib.Path(graph) / _FILE).write_text(json.dumps(dataclasses.asdict(positive)), encoding="utf-8")


def read_positive(graph: str) -> Positive:
    """What `write_positive` kept; for tasks other than binary an empty one."""
    path = pathlib.Path(graph) / _FILE
    return Positive(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else Positive("", "")


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
