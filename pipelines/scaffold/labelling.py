"""The label: which task it makes, which classes it has, and what a model that learns nothing would reach."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.positive import Positive, by_name, by_share
from spec.errors import InputError
from spec.workload import Task

_FEW_CLASSES = 20
_MOST_CLASSES = 1000
_ROWS_A_CLASS = 5
_SHOWN = 5
_IMBALANCE = 9  # the most frequent class over the rarest
_LONG_TAIL = 1.0  # skewness, and more
_MOST_ZEROS = 0.05


@dataclasses.dataclass(frozen=True)
class Label:
    """What is predicted.

    Attributes:
        name: the column.
        task: binary, multiclass or regression.
        reason: why that task, in words.
        dtype: INT, FLOAT or BYTES.
        classes: in order; integers or texts; () for regression.
        counts: rows of each class, as text; empty for regression.
        positive: the positive class, as text, and why; binary only.
        majority: the most frequent class, and its share of the rows; None for regression.
        mean: regression only.
        std: regression only: the RMSE of always predicting the mean.
        low: least value, regression only.
        high: greatest value, regression only.
        long_tail: of amounts above zero to the right, which is gone in their logarithm; regression only.
    """

    name: str
    task: Task
    reason: str
    dtype: str
    classes: tuple[int | str, ...] = ()
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    positive: Positive | None = None
    majority: tuple[int | str, float] | None = None
    mean: float = 0.0
    std: float = 0.0
    low: float = 0.0
    high: float = 0.0
    long_tail: bool = False

    @property
    def rarest(self) -> str:
        """The class with the fewest rows; of classes alone."""
        return min(self.counts, key=lambda name: self.counts[name])

    @property
    def imbalanced(self) -> bool:
        """Whether one class has so few rows that a model which never says it looks good."""
        return bool(self.counts) and _imbalanced(self.counts)


def _imbalanced(counts: Mapping[str, int]) -> bool:
    return min(counts.values()) * _IMBALANCE < max(counts.values())


def check_values(table: pa.Table, label: str) -> None:
    """Raises InputError if a label is nothing to predict, or all rows have the same."""
    values = table.column(label)
    if pa.types.is_nested(values.type) or pa.types.is_temporal(values.type):
        raise InputError(f"label {label!r}: must be a number, a text or a boolean. Received: {values.type}.")
    if pc.count_distinct(values).as_py() == 1:
        raise InputError(f"label {label!r}: all rows have {values[0].as_py()!r}; there is nothing to learn.")


def guess_task(values: pa.ChunkedArray) -> tuple[Task, str]:
    """The task that fits the label's values, and the reason."""
    distinct, rows = pc.count_distinct(values).as_py(), len(values)
    if distinct == 2:
        return Task.BINARY, "the label has two values"
    if not _is_number(values.type):
        return Task.MULTICLASS, f"the label is text with {distinct:,} values"
    whole = pa.types.is_integer(values.type) or pc.all(pc.equal(values, pc.floor(values))).as_py()
    if whole and distinct <= _FEW_CLASSES and rows >= _ROWS_A_CLASS * distinct:
        return Task.MULTICLASS, f"the label has {distinct} whole numbers as values"
    return Task.REGRESSION, f"the label is a number with {distinct:,} values"


def is_text(values: pa.ChunkedArray, task: Task) -> bool:
    """Whether the classes are best read as text: all but integers without gaps."""
    return task is not Task.REGRESSION and not (pa.types.is_integer(values.type) and _contiguous(values))


def describe(values: pa.ChunkedArray, name: str, task: Task, reason: str, positive: str | None = None) -> Label:
    """Describes a label of a given task.

    Args:
        values: as text where `is_text` said so.
        name: the column.
        task: the task.
        reason: why that task.
        positive: the class that was asked for as the positive one.

    Raises:
        InputError: the values do not fit the task.
    """
    if positive is not None and task is not Task.BINARY:
        raise InputError(f"--positive {positive!r}: is for labels of two classes, and the task is {task}. Remove it.")
    if task is Task.REGRESSION:
        return _regression(values, name, reason)
    counts = {c["values"]: c["counts"] for c in pc.value_counts(values.combine_chunks()).to_pylist()}
    if task is Task.BINARY and len(counts) != 2:
        shown = ", ".join(repr(v) for v in list(counts)[:_SHOWN])
        raise InputError(f"--task binary: the label {name!r} has {len(counts):,} values ({shown}). Use multiclass.")
    if len(counts) > _MOST_CLASSES or len(counts) * 2 > len(values):
        raise InputError(
            f"label {name!r}: {len(counts):,} distinct values in {len(values):,} rows are too many classes. "
            "Group them, or use --task regression if it is a number."
        )
    winner = max(counts, key=lambda v: counts[v])
    dtype = "INT" if pa.types.is_integer(values.type) else "BYTES"
    classes = tuple(sorted(counts))
    return Label(
        name,
        task,
        reason,
        dtype,
        classes,
        {str(one): counts[one] for one in classes},
        _positive(name, {str(one): counts[one] for one in classes}, positive) if task is Task.BINARY else None,
        (winner, counts[winner] / len(values)),
    )


def _positive(label: str, counts: Mapping[str, int], asked: str | None) -> Positive:
    """The class that was asked for; else a rare one, whatever its name; else the one that is by name; else the rarer one.

    A run that has to decide without a draft takes the name first (components/positive.py): what it decides must not turn around
    from one span to the next. The draft writes it down for good.
    """
    classes = list(counts)
    if asked is not None:
        if asked not in classes:
            raise InputError(
                f"--positive {asked!r}: the label {label!r} has the classes {classes[0]!r} and {classes[1]!r}."
            )
        return Positive(asked, "you said so")
    named, rarer = by_name(classes), by_share(classes, list(counts.values()), most=0.5)
    if named is None or named.name == rarer.name:
        return named or rarer
    if _imbalanced(counts):
        return dataclasses.replace(rarer, reason=f"{rarer.reason}; by name it would be {named.name}")
    return named


def _regression(values: pa.ChunkedArray, name: str, reason: str) -> Label:
    if not _is_number(values.type):
        raise InputError(f"--task regression: the label {name!r} must be a number. Received: {values[0].as_py()!r}.")
    numbers = values.cast(pa.float64(), safe=False)
    spread = pc.min_max(numbers).as_py()
    if not (math.isfinite(spread["min"]) and math.isfinite(spread["max"])):
        raise InputError(f"label {name!r}: holds an infinite number. Remove those rows.")
    return Label(
        name,
        Task.REGRESSION,
        reason,
        "FLOAT",
        mean=pc.mean(numbers).as_py(),
        std=pc.stddev(numbers).as_py(),
        low=spread["min"],
        high=spread["max"],
        long_tail=has_long_tail(numbers.drop_null().to_numpy()),
    )


def has_long_tail(values: npt.NDArray[np.float64]) -> bool:
    """Whether amounts are better learnt as log(1 + amount): none below zero, hardly any zero, far more skewed than their logarithms.

    Where many are zero, the logarithm has two humps, and its middle says nothing of the amounts.
    """
    if values.min() < 0 or (values == 0).mean() > _MOST_ZEROS:
        return False
    skewness = _skewness(values)
    return bool(skewness > _LONG_TAIL and abs(_skewness(np.log1p(values))) < skewness / 2)


def _skewness(values: npt.NDArray[np.float64]) -> float:
    """The third standardised moment: 0 for what is symmetric, 2 for an exponential distribution."""
    deviation = values.std()
    return float((((values - values.mean()) / deviation) ** 3).mean()) if deviation else 0.0


def _contiguous(values: pa.ChunkedArray) -> bool:
    spread: dict[str, Any] = pc.min_max(values).as_py()
    return bool(spread["max"] - spread["min"] + 1 == pc.count_distinct(values).as_py())


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
