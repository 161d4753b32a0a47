"""What must hold of a split before training on it is worth the time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from components.tasks import Task
from spec.errors import InputError
from spec.splits import TRAIN
from spec.tasks import LabelKind


class SplitChecks:
    """Looks at a split's rows, part by part: labels that can be learnt, features that are finite numbers.

    Example:
        checks = SplitChecks("train", Binary(("no", "yes")), "tip")
        for columns in parts:
            checks.add(columns)
        checks.finish()

    Attributes:
        class_counts: rows of each class so far, [classes]; empty where the label is a number.
        label_mean: of the label's values so far, on its scale; 0 for classes.
    """

    def __init__(self, split: str, task: Task, label: str | None, label_scale: str = "linear") -> None:
        self.label = label
        self._label_scale = label_scale
        self._split, self.task, self._classes = split, task, task.classes
        self._rows = 0
        self.label_mean = self._squares = 0.0
        self.class_counts = np.zeros(len(self._classes), np.int64)
        self._not_finite: dict[str, int] = {}

    @property
    def label_std(self) -> float:
        """Of the label's values so far, on its scale; 1 where they are all the same."""
        return math.sqrt(self._squares / max(1, self._rows)) or 1.0

    def add(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes the next rows: arrays [n, ...] by column.

        Raises:
            InputError: a label is no class or no finite number.
        """
        if self.label is not None and self.task.label_kind is LabelKind.NUMBER:
            self._add_numbers(columns[self.label])
        elif self.label is not None and self.task.label_kind.has_classes:
            self._add_classes(columns[self.label])
        self._rows += len(next(iter(columns.values())))
        for name, values in columns.items():
            if name != self.label and np.issubdtype(values.dtype, np.floating):
                count = int(values.size - np.count_nonzero(np.isfinite(values)))
                self._not_finite[name] = self._not_finite.get(name, 0) + count

    def finish(self) -> None:
        """After the last row.

        Raises:
            InputError: a feature is not finite, or all labels of train are the same class.
        """
        for name, count in self._not_finite.items():
            if count:
                raise InputError(
                    f"feature {name!r}: preprocessing_fn returns NaN or infinity in {count} values. "
                    "Fill missing values, and guard logarithms and divisions."
                )
        learns_classes = self.label is not None and self.task.label_kind.has_classes
        if self._split == TRAIN and learns_classes and np.count_nonzero(self.class_counts) < 2:
            only = [self._classes[index] for index in np.flatnonzero(self.class_counts)]
            raise InputError(
                f"label {self.label!r}: all rows of train are {', '.join(map(repr, only))}; there is nothing to learn."
            )

    def _add_numbers(self, label: npt.NDArray[Any]) -> None:
        finite = np.isfinite(label)
        if not finite.all():
            raise InputError(
                f"label {self.label!r}, row {self._row(~finite)} of {self._split}: is not a finite number. "
                "Remove or mend the row."
            )
        least = self.task.least_label
        if least is not None and (low := label < least).any():
            raise InputError(
                f"label {self.label!r}, row {self._row(low)} of {self._split}: a {self.task.label_word} is {least:g} or more. "
                f"Received: {label[low][0]:g}. Mend the row."
            )
        if self._label_scale == "log":
            if (label < 0).any():
                raise InputError(
                    f"label {self.label!r}, row {self._row(label < 0)} of {self._split}: training.label_scale: log needs 0 or "
                    f"more. Received: {label[label < 0][0]:g}. Mend the row, or set label_scale: linear in workload.yaml."
                )
            label = np.log1p(label.astype(np.float64))
        # Chan's way to join mean and squared deviations of two parts; in double precision, which a long float32 sum is not.
        mean = float(np.mean(label, dtype=np.float64))
        squares = float(np.var(label, dtype=np.float64)) * len(label)
        rows, shift = self._rows + len(label), mean - self.label_mean
        self._squares += squares + shift**2 * self._rows * len(label) / rows
        self.label_mean += shift * len(label) / rows

    def _add_classes(self, label: npt.NDArray[Any]) -> None:
        unknown = np.any((label < 0).reshape(len(label), -1), axis=1)
        if unknown.any():
            raise InputError(
                f"label {self.label!r}, row {self._row(unknown)} of {self._split}: is none of the classes "
                f"{list(self._classes)[:10]}. Mend the row, or the label's domain in schema.pbtxt."
            )
        one_class = self.task.label_kind.is_one_class
        self.class_counts += (
            np.bincount(label, minlength=len(self._classes)) if one_class else label.sum(axis=0).astype(np.int64)
        )

    def _row(self, wrong: npt.NDArray[np.bool_]) -> int:
        return self._rows + int(np.argmax(wrong))
