"""What the Evaluator is told: the workload's `evaluation` section, and what is predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from components.gates import Severity
from components.tasks import Task, find
from spec.metrics import Metric
from spec.workload import Evaluation, Variant

_NOT_JUDGED = {"hold": Severity.CRITICAL, "warn": Severity.WARNING}


class EvaluationConfig(Evaluation):
    """How a model is judged: the section of workload.yaml, and besides

    Attributes:
        task: by name.
        task_options: what workload.yaml says under that name.
        label: the label's column; None without one.
        query: the column whose rows are judged together; None without one.
        batch_size: rows a prediction batch.
        variants: what is asked of the model's compressed variants.
    """

    task: str
    task_options: Mapping[str, Any] = {}
    label: str | None = None
    query: str | None = None
    batch_size: int = 8192
    variants: tuple[Variant, ...] = ()
    resamples: int = 200
    seed: int = 1

    @model_validator(mode="after")
    def _fits_task(self) -> EvaluationConfig:
        needed, given = self.task_class.needs_query, self.query is not None
        if needed != given and not self.task_class.answers_queries:
            raise ValueError(
                f"query is for tasks that judge by groups. Received: task {self.task}, query {self.query!r}"
            )
        for name in (self.champion_metric.name, *(one.metric for one in self.thresholds)):
            self.task_class.metric(name)
        return self

    @property
    def task_class(self) -> type[Task]:
        """Of the task."""
        return find(self.task)

    @property
    def champion_metric(self) -> Metric:
        """By which challenger and champion are compared."""
        return self.task_class.metric(self.champion.metric) if self.champion.metric else self.task_class.metrics[0]

    @property
    def unjudged_severity(self) -> Severity:
        """Of a bound that cannot be judged."""
        return _NOT_JUDGED[self.not_judged]
