"""The label: its classes in the order of the model's output, and the mapping inside the transform graph."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2

from components.columnar import read_split
from components.positive import Positive, by_name, by_share
from components.schema import classes_of
from components.tasks import Task, class_indices
from spec.splits import TRAIN
from spec.tasks import LabelKind

_FILE = "positive_class.json"


def output_classes(
    schema: schema_pb2.Schema, label: str | None, task: type[Task], positive_class: str = ""
) -> list[str]:
    """The classes in the order of the output: [negative, positive] of two, none where the label has none.

    Raises:
        InputError: the label's domain does not fit the task.
    """
    if label is None or not task.label_kind.has_classes:
        return []
    return task.ordered_classes(classes_of(schema, label), label, positive_class)


def positive_class(examples: str, schema: schema_pb2.Schema, label: str | None, task: type[Task]) -> Positive | None:
    """Which class is positive where workload.yaml does not say; None where there are not two classes.

    Args:
        examples: URI of the raw Examples; train's rows tell which class is rare.

    Raises:
        InputError: the label's domain does not fit the task, or a label is none of its classes.
    """
    if label is None or task.label_kind is not LabelKind.TWO_CLASSES:
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
    """What `write_positive` kept; where there are not two classes, an empty one."""
    path = pathlib.Path(graph) / _FILE
    return Positive(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else Positive("", "")
