from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from components.tasks import Task, find
from spec.workload import Training, Workload


class TrainingConfig(Training):
    """How to fit: the section of workload.yaml without `search`, and besides

    Attributes:
        task: by name.
        task_options: what workload.yaml says under that name.
        label: the label's column; None without one.
        query: the column whose rows belong together; None without one.
        na_values: texts that mean a missing value in the data, and so in requests; the model's description carries them.
        na_values_by_column: other such texts for some columns.
    """

    task: str
    task_options: Mapping[str, Any] = {}
    label: str | None = None
    query: str | None = None
    na_values: Sequence[str] = ()
    na_values_by_column: Mapping[str, Sequence[str]] = {}

    @classmethod
    def of(cls, workload: Workload, training: Training) -> Self:
        """Of a workload.

        Args:
            training: its section, or what a node makes of it.
        """
        return cls(
            task=workload.task,
            task_options=workload.task_options.model_dump(mode="json"),
            label=workload.data.label_column,
            query=workload.data.query,
            na_values=workload.data.read.na_values,
            na_values_by_column=workload.data.read.na_values_by_column,
            **{**training.model_dump(), "search": None},
        )

    def steps_per_epoch(self, rows: int) -> int:
        """Batches of training, for so many rows of train."""
        return -(-rows // self.batch_size)

    @property
    def task_class(self) -> type[Task]:
        """Of the task."""
        return find(self.task)

    @property
    def learnt_label(self) -> str | None:
        """The label that the transformed Examples hold; None where it is for judging alone."""
        return self.label if self.task_class(options=self.task_options).learns_label else None

    def missing(self, column: str) -> tuple[str, ...]:
        """The texts that mean in a column that a value is missing."""
        return tuple(self.na_values_by_column.get(column, self.na_values))
