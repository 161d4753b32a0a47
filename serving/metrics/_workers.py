"""The metrics of several workers, as one."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client's variable: the folder where processes keep their metrics, so that each can answer with those of all."""


class OfAllWorkers(Collector):
    """Sums what the workers count, those that have ended included: a counter never falls.

    A series cannot be removed from their files, so what is not to be shown any more is left out here.
    """

    def __init__(self) -> None:
        self._files = MultiProcessCollector(None)
        self._hidden: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def hide(self, metric: MetricWrapperBase, **labels: str) -> None:
        """Leaves out the series of a metric that have these labels."""
        self._hidden.add((_name(metric), frozenset(labels.items())))

    def show(self, metric: MetricWrapperBase, **labels: str) -> None:
        """Ends `hide`."""
        self._hidden.discard((_name(metric), frozenset(labels.items())))

    def collect(self) -> Iterator[Metric]:
        hidden = list(self._hidden)
        for metric in self._files.collect():
            here = [labels for name, labels in hidden if name == metric.name]
            metric.samples = [one for one in metric.samples if not any(labels <= one.labels.items() for labels in here)]
            yield metric


def _name(metric: MetricWrapperBase) -> str:
    return next(iter(metric.describe())).name
