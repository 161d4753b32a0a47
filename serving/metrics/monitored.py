"""What the last looks at a model in use found, for Prometheus: `trainyard live` and `trainyard skew` leave it beside the record.

`<record>/<model>/live.json` and `skew.json` are read at scrape, once for each change. A file that cannot be used is as if it were not
there: /metrics has to answer.
"""

from __future__ import annotations

import logging
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_MOST_BYTES = 1 << 20
_MOST_MODELS = 1_000
_PREFIX = "trainyard_serving_"
_VERSION = ("model", "version")
_METRIC = (*_VERSION, "metric")
_COLUMN = (*_VERSION, "kind", "column", "measure")
_GAUGES = {
    "live_metric": ("A metric of the answers whose label came later.", _METRIC),
    "live_metric_low": ("What it is at least, at monitoring.live.confidence.", _METRIC),
    "live_metric_high": ("What it is at most, at monitoring.live.confidence.", _METRIC),
    "live_limit": ("Its bound in monitoring.live.metrics.", (*_METRIC, "bound")),
    "live_answered_rows": ("Rows answered within monitoring.live.window_hours.", (*_VERSION, "label")),
    "live_labelled_rows": ("Those of them whose label came.", (*_VERSION, "label")),
    "feedback_rows": ("Labels that are kept.", ("model",)),
    "drift": ("How far a column of the requests, or an answer, is from the training's.", _COLUMN),
    "drift_limit": ("Its limit in quality.skew.", _COLUMN),
    "look_timestamp_seconds": ("When the model was last looked at, live or skew.", ("model", "look")),
}

_log = logging.getLogger(__name__)
_Sample = tuple[str, tuple[str, ...], float | None]


class Monitored(Collector):
    """The figures of all models, as gauges.

    Args:
        record: the server's `--record`.
    """

    def __init__(self, record: pathlib.Path) -> None:
        self._record = record
        self._read: dict[pathlib.Path, tuple[tuple[int, int], list[_Sample]]] = {}

    def collect(self) -> Iterable[Metric]:
        gauges = {
            name: GaugeMetricFamily(_PREFIX + name, said, labels=labels) for name, (said, labels) in _GAUGES.items()
        }
        for name, labels, value in self._samples():
            if value is not None and math.isfinite(value):
                gauges[name].add_metric(labels, value)
        return gauges.values()

    def _samples(self) -> Iterator[_Sample]:
        for path in sorted(self._record.glob("*/*.json"))[: _MOST_MODELS * len(_SAMPLES_OF)]:
            if path.stem in _SAMPLES_OF:
                yield from self._samples_of(path)

    def _samples_of(self, path: pathlib.Path) -> list[_Sample]:
        try:
            stat = path.stat()
            state = (stat.st_mtime_ns, stat.st_size)
            if path not in self._read or self._read[path][0] != state:
                self._read[path] = (state, _read(path, stat.st_size))
            return self._read[path][1]
        except OSError:  # it has just been removed, or is not ours to read
            return []


def _read(path: pathlib.Path, size: int) -> list[_Sample]:
    try:
        if size > _MOST_BYTES:
            raise ValueError(f"{size:,} bytes, of {_MOST_BYTES:,} that are read")
        model, found = path.parent.name, orjson.loads(path.read_bytes())
        seen: tuple[_Sample, ...] = (("look_timestamp_seconds", (model, path.stem), float(found["at"])),)
        return [*seen, *_SAMPLES_OF[path.stem](model, found)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("%s: its figures are not shown: %s: %s", path, type(error).__name__, error)
        return []


def _of_live(model: str, found: Mapping[str, Any]) -> Iterator[_Sample]:
    yield "feedback_rows", (model,), float(found["feedback_rows"])
    for one in found["versions"]:
        version = str(int(one["version"]))
        yield "live_answered_rows", (model, version, str(one["label"])), float(one["answered"])
        yield "live_labelled_rows", (model, version, str(one["label"])), float(one["labelled"])
        for metric, figures in one["metrics"].items():
            labels = (model, version, metric)
            yield "live_metric", labels, _number(figures["value"])
            yield "live_metric_low", labels, _number(figures["low"])
            yield "live_metric_high", labels, _number(figures["high"])
            for bound in ("min", "max"):
                yield "live_limit", (*labels, bound), _number(figures[bound])


def _of_skew(model: str, found: Mapping[str, Any]) -> Iterator[_Sample]:
    version = str(int(found["version"]))
    for one in found["drift"]:
        labels = (model, version, str(one["kind"]), str(one["column"]), str(one["measure"]))
        yield "drift", labels, _number(one["value"])
        yield "drift_limit", labels, _number(one["limit"])


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


_SAMPLES_OF = {"live": _of_live, "skew": _of_skew}
