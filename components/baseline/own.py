"""A method of the workload's own: a function in its baseline.py."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from components import columnar, user_code
from components.baseline.config import BaselineConfig
from components.baseline.method import PLACE, Method
from components.tasks import Task
from spec.errors import InputError
from spec.splits import TEST, TRAIN


class Own(Method):
    """`def method(train: pa.Table, test: pa.Table, task: Task) -> np.ndarray`, called once, when its answers are first asked for.

    Args:
        read_split: a whole split by its name, read once for all functions.
    """

    def __init__(
        self, name: str, task: Task, uri: str, config: BaselineConfig, read_split: Callable[[str], pa.Table]
    ) -> None:
        super().__init__(name, task, uri, config)
        self._read_split = read_split

    def fit(self) -> None:
        self._function = user_code.load_function(self.config.module_file, self.name, self.config.module_digest)
        self.columns = tuple(columnar.split_schema(self.uri, TEST).names)  # whichever the truths are read from
        self.facts["about"] = (inspect.getdoc(self._function) or "").partition("\n")[0]

    def predict(self, batch: pa.RecordBatch) -> np.ndarray:
        answers: np.ndarray = self._answers[batch.column(PLACE).to_numpy()]
        return answers

    @functools.cached_property
    def _answers(self) -> np.ndarray:
        """Of all rows of the test split."""
        file, digest = self.config.module_file, self.config.module_digest
        train, test = self._read_split(TRAIN), self._read_split(TEST)
        # What a request to a model carries: neither the label, nor the item that is to be found.
        test = test.select(self.task.served_columns([name for name in test.column_names if name != self.config.label]))
        self.facts |= {"train_rows": train.num_rows, "train_rows_in_all": train.num_rows}
        with user_code.calling(file, digest):
            answers = np.asarray(self._function(train, test, self.task))
        if objection := self._objection(answers, test.num_rows):
            raise InputError(f"{file}: {self.name} {objection}. Mend it.")
        return answers

    def _objection(self, answers: np.ndarray, rows: int) -> str:
        shape = (rows, *self.task.judged_shape)
        if answers.shape != shape:
            return (
                f"must answer as a {self.task.name} model does, in shape {list(shape)}. Received: {list(answers.shape)}"
            )
        if wrong := int((~self.task.valid(self.task.judged({self.task.judged_output: answers}))).sum()):
            return f"gives {wrong:,} of {rows:,} rows an answer that is not {self.task.valid_words}"
        return ""
