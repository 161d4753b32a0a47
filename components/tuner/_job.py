"""What the processes of a search are told."""

from __future__ import annotations

import dataclasses

from components.trainer import TrainingConfig
from components.trainer.sources import Sources
from spec.metrics import LOSS, Metric
from spec.workload import Search


@dataclasses.dataclass(frozen=True)
class Job:
    """A search.

    Attributes:
        folder: of the study, on this machine; it outlives the process.
        training: how to fit, but for what is searched.
        metric_name: by which trials are compared.
        sources: the split eval of the Examples is what was held out of train.
    """

    folder: str
    search: Search
    training: TrainingConfig
    metric_name: str
    sources: Sources

    @property
    def metric(self) -> Metric:
        known = (*self.training.task_class.epoch_metrics, LOSS)
        return next(one for one in known if one.name == self.metric_name)
