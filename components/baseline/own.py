"""A method of the workload's own: a function in its baseline.py."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection

import numpy as np
import pyarrow as pa

from components import columnar, user_code
from components.baseline.config import BaselineConfig
from components.baseline.method import PLACE, Method
from components.tasks import Task
from spec.errors import InputError
from spec.splits import TEST, TRAIN


class Own(Method):
    """`def method(train: pa.Table, test: pa.Table, task: Task) -> np.ndarray`, called once for the test split, when its answers are
    first asked for, and once for each batch of other rows that a task wants answered before it judges.

    Args:
        read_split: a whole split by its name, without what is withheld, read once for all functions.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        uri: str,
        config: BaselineConfig,
        withheld: Collection[str],
        read_split: Callable[[str], pa.Table],
    ) -> None:
        super().__init__(name, task, uri, config, withheld)
        self._read_split = read_split

    def fit(self) -> None:
        self._function = user_code.load_function(self.config.module_file, self.name, self.config.module_digest)
        names = columnar.split_schema(self.uri, TEST).names  # whichever the truths are read from
        self.columns = tuple(name for name in names if name not in self.withheld)
        self.facts["about"] = (inspect.getdoc(self._function) or "").partition("\n")[0]

    def predict(self, batch: pa.RecordBatch) -> np.ndarray:
        if PLACE not in batch.schema.names:
            return self._asked(self._read_split(TRAIN), pa.Table.from_batches([batch]))
        answers: np.ndarray = self._answers[batch.column(PLACE).to_numpy()]
        return answers

    @functools.cached_property
    def _answers(self) -> np.ndarray:
        """Of all rows of the test split."""
        return self._asked(self._read_split(TRAIN), self._read_split(TEST))

    def _asked(self, train: pa.Table, rows: pa.Table) -> np.ndarray:
        # What a request to a model carries: neither the label, nor the item that is to be found.
        rows = rows.select(self.task.served_columns([name for name in rows.column_names if name != self.config.label]))
        self.facts |= {"train_rows": train.num_rows, "train_rows_in_all": train.num_rows}
        with user_code.calling(self.config.module_file, self.config.module_digest):
            answers = np.asarray(self._function(train, rows, self.task))
        shape = (rows.num_rows, *self.task.judged_shape)
        if answers.shape != shape:
            raise InputError(
                f"{self.config.module_file}: {self.name} must answer as a {self.task.name} model does, in shape {list(shape)}. "
                f"Received: {list(answers.shape)}. Mend it."
            )
        return answers
