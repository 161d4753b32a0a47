"""What a simple method is to those who judge it."""

from __future__ import annotations

import abc
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from components.baseline.config import BaselineConfig
from components.tasks import Task

PLACE = "__trainyard_place__"
"""A column of the batches that `predict` gets: each row's place in the test split."""


class NotApplicable(Exception):
    """A method has nothing to say of such data; the message says why."""


class Method(abc.ABC):
    """One method on one data set.

    Attributes:
        columns: those of the test split that `predict` takes.
        facts: what baseline.json says of it besides its figures.
        task: that is answered for.

    Args:
        name: as `evaluation.baseline` has it.
        task: prepared once the method is fitted; whoever prepares it sets it anew.
        uri: of the raw Examples.
        withheld: personal columns, which it is not given.
    """

    def __init__(self, name: str, task: Task, uri: str, config: BaselineConfig, withheld: Collection[str] = ()) -> None:
        self.name, self.task = name, task
        self.uri, self.config, self.withheld = uri, config, withheld
        self.columns: tuple[str, ...] = ()
        self.facts: dict[str, Any] = {"about": ""}

    @abc.abstractmethod
    def fit(self) -> None:
        """Gets ready to predict, as far as it goes before the task is prepared.

        Raises:
            NotApplicable: there is nothing that it could learn.
        """

    @abc.abstractmethod
    def predict(self, batch: pa.RecordBatch) -> np.ndarray:
        """Answers for rows of the test split as a model's, [N, *answer_shape]."""
