"""The server's metrics, for Prometheus."""

from __future__ import annotations

import os

import numpy as np
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from serving.codec.tensors import Arrays
from serving.metrics._predictions import PredictionBins
from serving.metrics._workers import SHARED, OfAllWorkers

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_UNCOUNTED = 128
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class Metrics:
    """The server's own registry, not the global one, so that a process may run several servers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "trainyard_serving_requests",
            "Requests answered. Model and version are empty if the request named none that is served.",
            ["model", "version", "label", "method", "protocol", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "trainyard_serving_request_seconds",
            "Seconds from having read the whole request to having the answer.",
            ["model", "version", "label", "method", "protocol"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "trainyard_serving_in_flight",
            "Requests in progress.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.rejected = Counter(
            "trainyard_serving_rejected",
            "Requests refused without being read: too many, too large, without a key, or over the limit of theirs.",
            ["reason"],
            registry=self.registry,
        )
        self.loaded = Gauge(
            "trainyard_serving_loaded_version",
            "The version that is served for a label.",
            ["model", "label"],
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
        self.load_seconds = Gauge(
            "trainyard_serving_load_seconds",
            "Seconds to verify, load and warm up a version.",
            ["model", "version"],
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
        self.load_failures = Counter(
            "trainyard_serving_load_failures",
            "Versions that could not be loaded; the previous one stays in service.",
            ["model", "version"],
            registry=self.registry,
        )
        self.store_failures = Counter(
            "trainyard_serving_store_failures", "Polls at which the store could not be read.", registry=self.registry
        )
        self.share = Gauge(
            "trainyard_serving_canary_share",
            "Share of the requests without version or label that the canary gets.",
            ["model"],
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
        self.fallbacks = Counter(
            "trainyard_serving_canary_fallbacks",
            "Requests of the canary's share that the stable version answered, because the canary was busy or failed.",
            ["model", "version", "reason"],
            registry=self.registry,
        )
        self.predictions = Counter(
            "trainyard_serving_predictions",
            "Rows predicted, by bin: the name of a class, or the lower edge for a number.",
            ["model", "version", "output", "bin"],
            registry=self.registry,
        )
        self.recorded = Counter(
            "trainyard_serving_recorded_rows",
            "Rows of the request record (--record): written, dropped, too large or failed.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self.cached = Counter(
            "trainyard_serving_answer_cache",
            "Requests whose answer was kept (--answer-cache-mb), or was not: hit or miss.",
            ["outcome"],
            registry=self.registry,
        )
        self.access_lines = Counter(
            "trainyard_serving_access_log_lines",
            "Lines of the access log (--access-log): written, dropped or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.ready = Gauge(
            "trainyard_serving_ready",
            "1 if every requested model is loaded.",
            multiprocess_mode="livemin",
            registry=self.registry,
        )

        self._all = OfAllWorkers() if SHARED in os.environ else None
        self._read = CollectorRegistry()
        self._read.register(self.registry if self._all is None else self._all)
        self._bins = PredictionBins()
        self._uncounted: dict[tuple[str, int], list[Arrays]] = {}
        self._requests: dict[tuple[tuple[str, ...], str], tuple[Counter, Histogram]] = {}

    def show(self, collector: Collector) -> None:
        """Adds what is read at each scrape."""
        self._read.register(collector)

    def set_label(self, model: str, label: str, version: int) -> None:
        """Says which version is served for a label."""
        self.loaded.labels(model, label).set(version)
        if self._all is not None:
            self._all.show(self.loaded, model=model, label=label)

    def forget_label(self, model: str, label: str) -> None:
        """Drops a label that is not served any more."""
        if self._all is None:
            self.loaded.remove(model, label)
        else:
            self._all.hide(self.loaded, model=model, label=label)

    def count_request(self, names: tuple[str, str, str, str, str], code: str, seconds: float) -> None:
        """Counts a request, and how long it took.

        Args:
            names: model, version, label, method and protocol.
        """
        found = self._requests.get((names, code))
        if found is None:  # looking a series up by its labels takes longer than to count
            found = self.requests.labels(*names, code), self.seconds.labels(*names)
            self._requests[names, code] = found
        found[0].inc()
        found[1].observe(seconds)

    def count_predictions(self, model: str, version: int, outputs: Arrays) -> None:
        """Adds the rows of an answer to the version's distribution: later, with others, since to look at one costs as much."""
        waiting = self._uncounted.setdefault((model, version), [])
        waiting.append(outputs)
        if len(waiting) >= _UNCOUNTED:
            self._count_predictions(model, version)

    def _count_predictions(self, model: str, version: int) -> None:
        answers = self._uncounted.pop((model, version), [])
        if self._all is not None:
            self._all.show(self.predictions, model=model, version=str(version))
        by_shape: dict[tuple[tuple[str, tuple[int, ...]], ...], list[Arrays]] = {}
        for outputs in answers:
            shapes = tuple((name, one.shape[1:]) for name, one in outputs.items())
            by_shape.setdefault(shapes, []).append({name: np.atleast_1d(one) for name, one in outputs.items()})
        for alike in by_shape.values():
            together = {name: np.concatenate([one[name] for one in alike]) for name in alike[0]}
            for output, bin_, rows in self._bins.count(model, version, together):
                self.predictions.labels(model, version, output, bin_).inc(rows)

    def forget_predictions(self, model: str, version: int) -> None:
        """Drops the distribution of a version that is no longer loaded; its series would otherwise be kept for ever."""
        self._uncounted.pop((model, version), None)
        self._bins.forget(model, version)
        if self._all is None:
            self.predictions.remove_by_labels({"model": model, "version": str(version)})
        else:
            self._all.hide(self.predictions, model=model, version=str(version))

    def flush(self) -> None:
        """Counts the answers that wait for it."""
        for model, version in list(self._uncounted):
            self._count_predictions(model, version)

    def text(self) -> bytes:
        """The text that /metrics returns: of all workers, where there are several."""
        self.flush()
        return prometheus_client.generate_latest(self._read)
