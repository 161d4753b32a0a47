"""What the processes of a search are told."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from components import border
from components.trainer import TrainingConfig
from components.trainer.sources import Sources
from spec.metrics import LOSS, Metric
from spec.workload import Search


@dataclasses.dataclass(frozen=True)
class Job:
    """A search.

    Attributes:
        folder: for the search's files, on this machine; it outlives the process.
        study: its trials' name where they are kept.
        training: how to fit, but for what is searched.
        metric_name: by which trials are compared.
        sources: the split eval of the Examples is what was held out of train.
        proxy: where another machine answers for the trials; empty: they are in the folder.
        machines: how many take part.
    """

    folder: str
    study: str
    search: Search
    training: TrainingConfig
    metric_name: str
    sources: Sources
    proxy: str = ""
    machines: int = 1

    @classmethod
    def of(cls, sources: Sources, properties: Mapping[str, Any], folder: pathlib.Path, study: str, **more: Any) -> Job:
        """Of the Tuner's execution properties; its Examples are yet to be written (_holdout.py).

        Args:
            sources: the node's inputs.
            more: `proxy` and `machines`.
        """
        return cls(
            str(folder),
            study,
            border.load(Search, properties["search"]),
            border.load(TrainingConfig, properties["training"]),
            properties["metric"],
            sources.reading(str(folder / "examples")),
            **more,
        )

    @property
    def processes(self) -> int:
        """How many try trials side by side."""
        return self.machines * self.search.parallel

    @property
    def metric(self) -> Metric:
        known = (*self.training.task_class.epoch_metrics, LOSS)
        return next(one for one in known if one.name == self.metric_name)
